"""The stages of a search, one after the other: each leaves its file and is passed over where that is there.

A  directions from the pairs, read once for all layers        D  trials, proposed by Optuna and raced
   the gates                                                  E  the best of them on questions they have not seen
B  the heat map, nothing generated                            F  the test, once
C  a screen by generation
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from engines.run import Run
from engines.steer.bench import Bench
from engines.steer.confirm import best_control, confirm, finalists, winner
from engines.steer.directions import Directions
from engines.steer.fields import SteeringRecipe
from engines.steer.final import test_once
from engines.steer.gates import run_gates
from engines.steer.heatmap import Cell, heat_map, steering_fields
from engines.steer.items import Item
from engines.steer.journal import StopRequested, kept, write_json
from engines.steer.plain_texts import plain_texts
from engines.steer.results import leave_results
from engines.steer.rivals import rivals
from engines.steer.screen import baseline, screen, startup
from engines.steer.searching import Helpers, open_trials, search
from engines.steer.side_effects import check_plain_texts, side_effects
from engines.steer.sources import Sources, find_sources
from engines.steer.studies import Space
from engines.steer.subject import Subject, open_subject
from engines.steer.trials import Trials
from engines.steer.verdict import Outcome

STAGES = ("vectors", "gates", "baseline", "heat map", "screen", "search", "confirm", "test", "report")
STUDIES = "studies.json"
"""How far each study is, for people who watch."""
_GATE_PROMPTS = 32


class Stages:
    """One attempt at a search."""

    def __init__(self, recipe: SteeringRecipe, run: Run) -> None:
        self.recipe, self.run = recipe, run
        self.subject = open_subject(recipe, run)
        self.plain = plain_texts(recipe.plain_text)
        check_plain_texts(self.subject, self.plain)
        self._done = 0.0

    def all(self) -> None:
        """Everything; StopRequested where the job was asked to stop."""
        subject = self.subject
        self._begin("vectors")
        kept(self.run.dir / "splits.json", subject.asked, subject.splits.record)
        sources = find_sources(subject)
        self._begin("gates")
        if self.recipe.gates:
            self._gates(sources)
        self._begin("baseline")
        unsteered = baseline(subject)
        self._begin("heat map")
        cells = heat_map(subject, sources)
        self._begin("screen")
        starts = self._screen(sources, cells, unsteered)
        self._begin("search")
        studies = self._search(sources, starts, unsteered)
        self._begin("confirm")
        found = finalists(subject, studies)
        confirmed = confirm(subject, found, unsteered["confirm"]) + rivals(
            subject, found, unsteered["confirm"]
        )
        best, control = winner(confirmed), best_control(confirmed)
        self._begin("test")
        tried = {"winner": None if best is None else best.finalist.steering}
        if control is not None:
            tried["control"] = control.finalist.steering
        final = test_once(subject, tried)
        self._begin("report")
        effects = side_effects(subject, final, tried, self.plain)
        outcome = Outcome(studies, confirmed, best, control, final, effects)
        leave_results(subject, sources, cells, outcome, unsteered["search"])
        self.run.events.progress(len(STAGES), len(STAGES), "stage")

    def help(self) -> None:
        """Only the trials: what a helper does, once the stages before are done."""
        sources = find_sources(self.subject)
        unsteered = baseline(self.subject)
        starts = self._screen(sources, heat_map(self.subject, sources), unsteered)
        self.subject.tick = self._heed
        search(open_trials(self.subject, sources, starts, unsteered["search"]), self._heed, lambda *_: None)

    def _gates(self, sources: Sources) -> None:
        found = next(iter(sources.found.values()))

        def prove() -> list[dict[str, Any]]:
            bench = bench_of(self.subject, found)
            run_gates(bench, self.run.dir)
            written: list[dict[str, Any]] = json.loads(
                (self.run.dir / "gates.json").read_text(encoding="utf-8")
            )
            return written

        kept(self.run.dir / "gates.passed.json", self.subject.asked, prove)

    def _screen(
        self, sources: Sources, cells: Sequence[Cell], unsteered: Mapping[str, Sequence[Item]]
    ) -> dict[str, list[tuple[int, float]]]:
        found = screen(self.subject, sources, cells, unsteered["screen"])
        return {name: startup(found, name, self.recipe.search.startup) for name in sources.found}

    def _search(
        self,
        sources: Sources,
        starts: Mapping[str, Sequence[tuple[int, float]]],
        unsteered: Mapping[str, Sequence[Item]],
    ) -> list[Trials]:
        studies = open_trials(self.subject, sources, starts, unsteered["search"])
        reported: set[tuple[str, int]] = set()

        def report(space: Space, _trial: Any) -> None:
            trials = next(trials for trials in studies if trials.space == space)
            self._report(trials, reported)

        def tick(share: float) -> None:
            write_json(self.run.dir / STUDIES, [trials.progress() for trials in studies])
            self.subject.tick(share)

        for trials in studies:  # those of an earlier attempt, whose metrics were taken back
            self._report(trials, reported)
        with Helpers(self.subject, self.recipe.workers - 1) as helpers:
            search(studies, tick, report)
            for code in helpers.failed():
                self.run.events.message(f"a helper ended with {code}; see helpers.log", "warning")
        for trials in studies:
            self._report(trials, reported)
        tick(1.0)
        return studies

    def _report(self, trials: Trials, reported: set[tuple[str, int]]) -> None:
        """The metrics of trials that have not been reported, whoever evaluated them."""
        name, best = trials.space.name, 0.0
        for trial in trials.finished():
            complete = trial.state.name == "COMPLETE"
            gain = next(iter(trial.intermediate_values.values()))
            feasible = all(amount <= 0 for amount in trial.constraints.values())
            best = max(best, gain) if complete and feasible else best
            if (name, trial.number) not in reported:
                reported.add((name, trial.number))
                values = {"gain": gain, "best": best, "pruned": float(not complete)}
                values |= {"alpha": trial.params["alpha"], "layer": float(trial.params["layer"])}
                self.run.events.metrics(
                    trial.number, {f"{name}/{key}": value for key, value in values.items()}
                )

    def _begin(self, stage: str) -> None:
        place = STAGES.index(stage)

        def tick(share: float) -> None:
            self._done = max(self._done, place + share)
            self.run.events.progress(round(self._done, 3), len(STAGES), "stage")
            self._heed(share)

        self.subject.tick = tick
        tick(0.0)

    def _heed(self, share: float) -> None:
        if self.run.stop_requested and share < 1:
            raise StopRequested


def bench_of(subject: Subject, found: Directions) -> Bench:
    """What the gates are run on: some of the search's questions, these directions, and the largest strength."""
    recipe, examples = subject.recipe, subject.splits.search[:_GATE_PROMPTS]
    return Bench(
        subject.model,
        subject.tokenizer,
        [subject.prompt(example) for example in examples],
        found,
        found.layers,
        max(map(abs, recipe.ladder)),
        recipe.greedy,
        subject.spec,
        examples,
        {key: value for key, value in steering_fields(subject).items() if key != "read"},
        recipe.batch_size,
    )
