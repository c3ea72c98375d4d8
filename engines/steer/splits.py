"""Questions for finding directions, for screening, searching and confirming: parts of the training split by hash.

The test split is no part of this: it is opened once, behind its lock.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engines.pruning.overlap import contaminated, ngrams
from engines.recipe.blocks import TaskBlock
from engines.recipe.errors import RecipeError
from engines.steer.fields import SplitsBlock
from engines.tasks.example import Example
from engines.tasks.loading import data_hash, load_examples, test_examples
from engines.tasks.splits import question_key

PARTS = ("confirm", "search", "screen", "vectors")
"""In the order in which they take questions: what decides the most takes first."""


@dataclass(frozen=True)
class Splits:
    """The parts of the training split, each in the order of its hashes: any beginning of it is a sample."""

    confirm: list[Example]
    search: list[Example]
    screen: list[Example]
    vectors: list[Example]
    dropped: int
    """Questions left out because they share too many words with one of another part, or of the test."""

    def part(self, name: str) -> list[Example]:
        found: list[Example] = getattr(self, name)
        return found

    def record(self) -> dict[str, object]:
        """What tells these splits from others."""
        parts = {
            name: {"hash": data_hash(self.part(name)), "ids": [example.id for example in self.part(name)]}
            for name in PARTS
        }
        return {**parts, "dropped": self.dropped}


def make_splits(task: TaskBlock, sizes: SplitsBlock) -> Splits:
    """Give every training question, by its hash, to one part at most."""
    pool = load_examples(task, "train")
    wanted = {name: int(getattr(sizes, name)) for name in PARTS}
    ranked = sorted(pool, key=lambda example: question_key(example.question, "steering"))
    fresh = ranked
    if sizes.decontaminate is not None:
        held_out = [example.question for example in test_examples(task)]
        marks = contaminated([example.question for example in ranked], held_out, sizes.decontaminate)
        fresh = [example for example, mark in zip(ranked, marks, strict=True) if not mark]
    dropped = len(ranked) - len(fresh)
    found: dict[str, list[Example]] = {}
    taken: set[tuple[str, ...]] = set()
    left: Sequence[Example] = fresh
    for name in PARTS:
        found[name], left, skipped = _take(left, wanted[name], taken, sizes.decontaminate)
        dropped += skipped
    short = {name: len(found[name]) for name in PARTS if len(found[name]) < wanted[name]}
    if short:
        shown = ", ".join(f"{name} {count} of {wanted[name]}" for name, count in short.items())
        hint = "lower `splits`" + (" or set `splits.decontaminate: null`" if dropped else "")
        raise RecipeError(
            f"splits: {task.name} has {len(pool)} training questions, {dropped} of which are too much like others; "
            f"that gives {shown}",
            hint=hint,
        )
    return Splits(**found, dropped=dropped)


def _take(
    pool: Sequence[Example], count: int, taken: set[tuple[str, ...]], n: int | None
) -> tuple[list[Example], list[Example], int]:
    """The first `count` that are like none of an earlier part, what is left behind them, and how many were skipped.

    Within a part questions may be alike. `taken` grows by what the part has."""
    part: list[Example] = []
    own: set[tuple[str, ...]] = set()
    skipped, place = 0, 0
    for place, example in enumerate(pool):
        if len(part) == count:
            return part, list(pool[place:]), _grown(taken, own, skipped)
        grams = ngrams(example.question, n) if n is not None else set()
        if grams.isdisjoint(taken):
            part.append(example)
            own |= grams
        else:
            skipped += 1
    return part, [], _grown(taken, own, skipped)


def _grown(taken: set[tuple[str, ...]], own: set[tuple[str, ...]], skipped: int) -> int:
    taken |= own
    return skipped
