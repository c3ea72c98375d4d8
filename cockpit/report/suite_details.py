"""What tells two arms of a suite apart beside the figures: questions that flipped, and fields of their recipes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.report.points import Point
from store.database import Database
from store.results import get_example

MOST_FLIPS = 5
"""Of each kind and arm."""


@dataclass(frozen=True)
class Flip:
    """A question that one of two got right."""

    arm: str
    question: str
    gained: bool
    """The arm is right where the baseline is wrong."""
    gold: str
    before: str
    after: str
    jobs: tuple[int, int]
    """Baseline's and arm's evaluation."""


def flips_of(database: Database, baseline: Point, arm: Point) -> Iterator[Flip]:
    """The first questions of each kind in the order of their hashes: nobody picked them."""
    seed = min(baseline.models.keys() & arm.models.keys(), default=None)
    if seed is None:
        return
    first, second = baseline.models[seed], arm.models[seed]
    pairs = list(zip(first.questions, first.shares["strict"], second.shares["strict"], strict=True))
    jobs = first.job.id, second.job.id
    for gained in (False, True):
        flipped = [q for q, before, after in pairs if (after > before if gained else after < before)]
        for question in sorted(flipped, key=lambda q: q.partition("/")[2])[:MOST_FLIPS]:
            examples = [get_example(database, job, question, 0) for job in jobs]
            fields = [example.fields if example else {} for example in examples]
            said = [str(one.get("extracted") or "no answer") for one in fields]
            yield Flip(arm.label, question, gained, str(fields[0].get("gold", "")), said[0], said[1], jobs)


def unlike_fields(baseline: Point, arm: Point) -> list[str]:
    """Dotted fields with different values, of the models of the first common seed."""
    seed = min(baseline.models.keys() & arm.models.keys(), default=None)
    if seed is None:
        return []
    first, second = (dict(_flat(point.models[seed].model.recipe)) for point in (baseline, arm))
    return [
        f"{key}: {first.get(key)} -> {second.get(key)}"
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key)
    ]


def _flat(value: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, inner in value.items():
        name = f"{above}{key}"
        pairs += _flat(inner, f"{name}.") if isinstance(inner, dict) else [(name, inner)]
    return pairs
