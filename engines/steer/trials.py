"""The trials of a study: asked for in batches, raced together, told in order; by several processes, or by one after a kill.

All that a trial is stands in the database and in files, so that whoever has the lease of a batch can go on with it:

- a batch is asked for alone (one process at a time), and its file is written once all of its trials have their parameters;
- who evaluates a batch holds its lease; the lease of a process that ended is free;
- a trial is told when its items are on the disk, and a batch's trials are told in the order of their numbers.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import optuna
from optuna.trial import TrialState

from engines.run import write_whole
from engines.steer.items import Item, breaches, differences
from engines.steer.journal import write_json
from engines.steer.leases import Leases
from engines.steer.progress import is_sibling, progress
from engines.steer.race import Runner, race
from engines.steer.sources import Sources
from engines.steer.studies import (
    Params,
    Space,
    sampler,
    save_sampler,
    startup_params,
    steering_of,
    suggest,
)
from engines.steer.subject import Subject


@dataclass(frozen=True, eq=False)
class Contestant:
    """One configuration of a batch: a trial that was asked for, or a sibling of one."""

    number: int
    sibling: int
    """0: the trial itself; from 1 on: which multiple of its strength."""
    params: Params
    runner: Runner


class Trials:
    """One study, as one process works on it."""

    def __init__(
        self,
        subject: Subject,
        sources: Sources,
        space: Space,
        cells: Sequence[tuple[int, float]],
        unsteered: Sequence[Item],
        storage: Any,
        leases: Leases,
    ) -> None:
        self.subject, self.sources, self.space = subject, sources, space
        self.unsteered, self.leases = unsteered, leases
        self.directory = subject.run.dir / "trials" / space.name
        (self.directory / "batches").mkdir(parents=True, exist_ok=True)
        wanted = subject.recipe.search.trials
        # Strength 0 is always tried, and first: what no steering scores is known, and the sampler learns from it.
        self._cells = [(cells[0][0] if cells else space.layers[0], 0.0), *cells][:wanted]
        with leases.alone("studies"):
            self.study = optuna.create_study(
                storage=storage,
                study_name=space.name,
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.NopPruner(),
                sampler=sampler(subject.run.seed, space.name, 0),
            )

    def finished(self) -> list[Any]:
        """Trials that are told, siblings included, by number."""
        return [trial for trial in self.study.get_trials(deepcopy=False) if trial.state.is_finished()]

    def progress(self) -> dict[str, Any]:
        """How far the study is, for people who watch."""
        about = {
            "study": self.space.name,
            "role": self.space.role,
            "trials": self.subject.recipe.search.trials,
        }
        return about | progress(self.study.get_trials(deepcopy=False))

    @property
    def done(self) -> bool:
        return sum(not is_sibling(trial) for trial in self.finished()) >= self.subject.recipe.search.trials

    def work(self, on_batch: Callable[[], None], on_told: Callable[[Any], None]) -> bool:
        """Evaluate a batch; False where nobody needs us: the study is done, or others hold what is left."""
        numbers = self._taken()
        if not numbers:
            return False
        contestants = [one for number in numbers for one in self._contestants(number)]
        runners = [one.runner for one in contestants]
        items = race(self.subject, self.subject.splits.search, self.unsteered, runners, on_batch)
        found = {(one.number, one.sibling): (one, own) for one, own in zip(contestants, items, strict=True)}
        for number in numbers:
            siblings = [place for other, place in found if other == number and place]
            for place in siblings:
                self._add_sibling(*found[number, place])
            if not self.study.get_trials(deepcopy=False)[number].state.is_finished():
                self._tell(*found[number, 0])
            following = len(self.study.get_trials(deepcopy=False))
            save_sampler(
                self.directory / "sampler.pkl", sampler(self.subject.run.seed, self.space.name, following)
            )
            on_told(self.study.get_trials(deepcopy=False)[number])
        self.leases.release(self._lease(numbers))
        return True

    def _taken(self) -> list[int]:
        """The numbers of a batch that is ours now: one that a dead process left, or a new one."""
        with self.leases.alone(f"{self.space.name}.ask"):
            batches = self._batches()
            for numbers in batches:
                if self._unfinished(numbers) and self.leases.take(self._lease(numbers)):
                    if self._unfinished(numbers):
                        return numbers
                    self.leases.release(self._lease(numbers))  # who had it ended just now
            numbers = self._ask({number for batch in batches for number in batch})
            if numbers:
                self.leases.take(self._lease(numbers))
                path = self.directory / "batches" / f"{numbers[0]}.json"
                write_whole(path, json.dumps(numbers) + "\n")
            return numbers

    def _ask(self, batched: set[int]) -> list[int]:
        """Ask for a batch; where a process was killed while it did, its trials are the first of this one."""
        search = self.subject.recipe.search
        trials = self.study.get_trials(deepcopy=False)
        for layer, alpha in self._cells[len(trials) :]:
            self.study.enqueue_trial(startup_params(self.space, layer, alpha))
        begun = [
            trial for trial in trials if trial.state == TrialState.RUNNING and trial.number not in batched
        ]
        asked = sum(not is_sibling(trial) and trial.state != TrialState.WAITING for trial in trials)
        numbers = []
        for trial in begun:
            open_again = partial(optuna.trial.Trial, self.study, trial._trial_id)
            numbers.append(self._suggest(open_again, trial.number))
        room = min(search.batch_configs - len(begun), search.trials - asked)
        for _ in range(room):
            numbers.append(self._suggest(self.study.ask, self._next_number()))
        return numbers

    def _next_number(self) -> int:
        trials = self.study.get_trials(deepcopy=False)
        waiting = [trial.number for trial in trials if trial.state == TrialState.WAITING]
        return min(waiting, default=len(trials))

    def _suggest(self, opened: Callable[[], Any], number: int) -> int:
        self.study.sampler = sampler(self.subject.run.seed, self.space.name, number)
        trial = opened()
        alphas = self.subject.recipe.search.alphas
        suggest(trial, self.space, alphas.low, alphas.high)
        found: int = trial.number
        return found

    def _contestants(self, number: int) -> list[Contestant]:
        """The trial, and its siblings: the same at multiples of its strength, where the range has them."""
        params = dict(self.study.get_trials(deepcopy=False)[number].params)
        search = self.subject.recipe.search
        tried = [params]
        for factor in search.siblings:
            alpha = params["alpha"] * factor
            if alpha and search.alphas.low <= alpha <= search.alphas.high and factor != 1:
                tried.append({**params, "alpha": alpha})
        names = ["items.jsonl", *(f"sibling-{place}.jsonl" for place in range(1, len(tried)))]
        found = []
        for place, (name, one) in enumerate(zip(names, tried, strict=True)):
            steering = steering_of(self.subject, self.sources, self.space, one)
            runner = Runner(steering, self.directory / str(number) / name)
            found.append(Contestant(number, place, one, runner))
        return found

    def _outcome(self, items: Sequence[Item]) -> tuple[Any, float, dict[str, float]]:
        found = differences(items, self.unsteered)
        state = TrialState.COMPLETE if len(items) == len(self.unsteered) else TrialState.PRUNED
        broken = breaches(items, self.unsteered, self.subject.recipe.constraints)
        return state, sum(found) / len(found), broken

    def _tell(self, one: Contestant, items: Sequence[Item]) -> None:
        state, gain, broken = self._outcome(items)
        frozen = self.study.get_trials(deepcopy=False)[one.number]
        trial = optuna.trial.Trial(self.study, frozen._trial_id)
        for name, amount in broken.items():
            if name not in frozen.constraints:  # an attempt that was killed here has set some
                trial.set_constraint(name, amount)
        trial.set_user_attr("answers", self._answers(one, items))
        if not frozen.intermediate_values:
            trial.report(gain, step=len(items))
        self._record(one, items)
        self.study.tell(one.number, gain if state == TrialState.COMPLETE else None, state=state)

    def _add_sibling(self, one: Contestant, items: Sequence[Item]) -> None:
        """Unless it was added before a kill."""
        known = [trial.user_attrs.get("sibling_of") for trial in self.study.get_trials(deepcopy=False)]
        if [one.number, one.sibling] in known:
            return
        state, gain, broken = self._outcome(items)
        trial = self.study.get_trials(deepcopy=False)[one.number]
        self._record(one, items)
        self.study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=gain if state == TrialState.COMPLETE else None,
                params=one.params,
                distributions=trial.distributions,
                intermediate_values={len(items): gain},
                constraints=broken,
                user_attrs={
                    "answers": self._answers(one, items),
                    "sibling_of": [one.number, one.sibling],
                },
            )
        )

    def _answers(self, one: Contestant, items: Sequence[Item]) -> dict[str, Any]:
        path = one.runner.path.relative_to(self.subject.run.dir)
        return {"n": len(items), "spec": one.runner.steering.key, "items": str(path)}

    def _record(self, one: Contestant, items: Sequence[Item]) -> None:
        """The trial for people and programs without Optuna."""
        state, gain, broken = self._outcome(items)
        name = "result.json" if not one.sibling else f"sibling-{one.sibling}.json"
        write_json(
            one.runner.path.with_name(name),
            {
                "study": self.space.name,
                "number": one.number,
                "params": one.params,
                "state": state.name,
                "gain": gain,
                "breaches": broken,
                **self._answers(one, items),
                "spec": one.runner.steering.spec.model_dump(mode="json"),
            },
        )

    def _batches(self) -> list[list[int]]:
        files = (self.directory / "batches").glob("*.json")
        return sorted(json.loads(path.read_text(encoding="utf-8")) for path in files)

    def _unfinished(self, numbers: Sequence[int]) -> bool:
        trials = self.study.get_trials(deepcopy=False)
        return any(not trials[number].state.is_finished() for number in numbers)

    def _lease(self, numbers: Sequence[int]) -> str:
        return f"{self.space.name}.{numbers[0]}"
