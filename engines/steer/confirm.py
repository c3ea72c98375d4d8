"""Picking the winner on questions that the search has not seen: by what it surely gains, with no steering as a candidate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engines.generation.append_only import read_lines
from engines.steer.directions import Steering
from engines.steer.items import Comparison, Item, compare, item, sure_gain
from engines.steer.journal import Batches, hash_of, kept_rows
from engines.steer.progress import best_trials
from engines.steer.sources import Role
from engines.steer.studies import Space, steering_of
from engines.steer.subject import Subject
from engines.steer.trials import Trials
from engines.tasks.loading import data_hash


@dataclass(frozen=True, eq=False)
class Finalist:
    """A configuration that the search found."""

    study: str
    """Or what else is tried."""
    role: Role
    number: int | None
    """Of its trial, where it is one."""
    params: dict[str, Any]
    steering: Steering | None
    searched: float | None
    """Its gain on the search questions: that of a selection, and so too high. None where nothing was selected."""
    items: str | None = None
    """The file with its trial's answers to the search questions, below the run directory."""


@dataclass(frozen=True, eq=False)
class Confirmed:
    """A finalist on the confirm questions."""

    finalist: Finalist
    comparison: Comparison
    sure: float
    """Lower bound of its gain, for all candidates together."""

    def record(self) -> dict[str, Any]:
        one = self.finalist
        return {
            "study": one.study,
            "control": one.role != "tested",
            "role": one.role,
            "trial": one.number,
            "params": one.params,
            "search_gain_selected": one.searched,
            "sure_gain": self.sure,
            **self.comparison.record(),
        }


def finalists(subject: Subject, studies: Sequence[Trials]) -> list[Finalist]:
    """The best configurations that gained something in the search, and the best of each other study.

    The best of them turned round comes last."""
    candidates = [
        _finalist(trials, trial)
        for trials in studies
        if trials.space.role == "tested"
        for trial in best_trials(trials.finished())
        if trial.value > 0
    ]
    # Stable: equal ones stay in the order of gentleness within their study, and of the studies.
    candidates.sort(key=lambda one: (-(one.searched or 0.0), abs(one.params["alpha"])))
    distinct = {_key(one): one for one in reversed(candidates)}
    chosen = [one for one in candidates if distinct[_key(one)] is one]
    others = []
    for trials in studies:
        steered = [trial for trial in best_trials(trials.finished()) if trial.params["alpha"] != 0]
        if trials.space.role != "tested" and steered:
            others.append(_finalist(trials, steered[0]))
    if chosen and subject.recipe.controls.sign_flipped:
        others.append(_turned(chosen[0]))
    return chosen[: subject.recipe.confirm.top_k] + others


def confirm(subject: Subject, found: Sequence[Finalist], unsteered: Sequence[Item]) -> list[Confirmed]:
    """All finalists on the confirm questions; leaves `confirm.items.jsonl`."""
    examples = subject.splits.confirm
    asked = [(place, number) for place in range(len(examples)) for number in range(len(found))]

    def make(missing: list[int]) -> Batches:
        wanted = [(examples[asked[at][0]], 0, found[asked[at][1]].steering) for at in missing]
        for batch in subject.answers(wanted, subject.recipe.greedy):
            rows = []
            for place, row in batch:
                at = missing[place]
                rows.append((at, item(row, subject.correct(row), unsteered[asked[at][0]]["completion"])))
            yield rows

    keys = [f"{examples[place].id}/{number}" for place, number in asked]
    inputs = hash_of([subject.asked, [_key(one) for one in found], data_hash(examples)])
    rows = kept_rows(subject.run.dir / "confirm.items.jsonl", inputs, keys, make, subject.tick)
    return [
        judged(subject, one, found, rows[number :: len(found)], unsteered) for number, one in enumerate(found)
    ]


def judged(
    subject: Subject,
    one: Finalist,
    found: Sequence[Finalist],
    items: Sequence[Item],
    unsteered: Sequence[Item],
) -> Confirmed:
    """The figures of one; all get the same, corrected for the number of candidates among all that was found."""
    candidates, seed = sum(other.role == "tested" for other in found), subject.run.seed
    return Confirmed(one, compare(items, unsteered, seed), sure_gain(items, unsteered, candidates, seed))


def winner(confirmed: Sequence[Confirmed]) -> Confirmed | None:
    """The candidate that surely gains the most; None, no steering, where none surely gains anything.

    Equal ones: the gentlest."""
    sure = [one for one in confirmed if one.finalist.role == "tested" and one.sure > 0]
    return min(
        sure,
        key=lambda one: (-one.sure, abs(one.finalist.params["alpha"]), one.finalist.number),
        default=None,
    )


def best_control(confirmed: Sequence[Confirmed]) -> Confirmed | None:
    """What means nothing and gained the most in the search, as the winner was found."""
    nulls = [one for one in confirmed if one.finalist.role == "null"]
    return max(nulls, key=lambda one: one.finalist.searched or 0.0, default=None)


def searched_items(trials: Trials, trial: Any) -> list[Item]:
    """The answers of a trial to the search questions. Strength 0 has those of the unsteered model."""
    return list(read_lines(trials.subject.run.dir / trial.user_attrs["answers"]["items"]))


def _finalist(trials: Trials, trial: Any) -> Finalist:
    space: Space = trials.space
    steering = steering_of(trials.subject, trials.sources, space, trial.params)
    items = trial.user_attrs["answers"]["items"]
    return Finalist(space.name, space.role, trial.number, dict(trial.params), steering, trial.value, items)


def _key(one: Finalist) -> str:
    assert one.steering is not None
    return one.steering.key


def _turned(leader: Finalist) -> Finalist:
    """The same direction the other way, as strongly: where both gain, it is not the direction that does it."""
    assert leader.steering is not None
    spec = leader.steering.spec.model_copy(update={"alpha": -leader.steering.spec.alpha})
    params = {**leader.params, "alpha": -leader.params["alpha"]}
    turned = Steering(spec, leader.steering.vectors)
    return Finalist("sign_flipped", "rival", leader.number, params, turned, None)
