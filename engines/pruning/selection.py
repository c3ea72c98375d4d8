"""Which of a question's right solutions are trained on: different ones, and as many as the recipe wants.

A solution's equations stand for how it goes about the question, as in RFT (Yuan et al. 2023), where they are its
calculator marks; here they are read from the text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from engines.pruning.overlap import similarity
from engines.pruning.steps import steps_in
from engines.tasks.splits import question_key

Pick = Literal["random", "first", "shortest", "longest", "diverse", "all"]
Level = Literal["text", "equations", "ngrams"]

NEAR = 0.8
"""Solutions with this share of 5-grams in common are one."""


@dataclass(frozen=True)
class Solution:
    """One right solution to one question."""

    example_id: str
    sample: int
    """Its number, unique for the question over all rounds."""
    reasoning: str
    """What is compared."""
    text: str = ""
    """All that the model said."""
    source: str = "generated"


def skeleton(reasoning: str) -> str:
    """How a solution goes about it: its equations, or its words where it has none."""
    steps = steps_in(reasoning)
    return "|".join(step.text for step in steps) if steps else " ".join(reasoning.split())


def without_repetitions(solutions: Sequence[Solution], levels: Sequence[Level]) -> list[Solution]:
    """The first of each set of solutions, of one question, that are the same on any of the levels."""
    kept: list[Solution] = []
    for solution in solutions:
        if not any(_same(solution.reasoning, other.reasoning, levels) for other in kept):
            kept.append(solution)
    return kept


def pick(solutions: Sequence[Solution], how: Pick, most: int, seed: int) -> list[Solution]:
    """At most `most` of one question's solutions, the preferred ones first. Random order is the seed's alone."""
    if how == "diverse":
        return _farthest(_shuffled(solutions, seed), most)
    order: dict[Pick, Callable[[], list[Solution]]] = {
        "first": lambda: sorted(solutions, key=lambda solution: solution.sample),
        "shortest": lambda: sorted(solutions, key=lambda s: (len(s.reasoning), s.sample)),
        "longest": lambda: sorted(solutions, key=lambda s: (-len(s.reasoning), s.sample)),
        "random": lambda: _shuffled(solutions, seed),
        "all": lambda: _shuffled(solutions, seed),
    }
    return order[how]()[:most]


def _same(first: str, second: str, levels: Sequence[Level]) -> bool:
    checks: dict[Level, Callable[[], bool]] = {
        "text": lambda: first.split() == second.split(),
        "equations": lambda: bool(steps_in(first)) and skeleton(first) == skeleton(second),
        "ngrams": lambda: similarity(first, second) >= NEAR,
    }
    return any(checks[level]() for level in levels)


def _shuffled(solutions: Sequence[Solution], seed: int) -> list[Solution]:
    return sorted(
        solutions,
        key=lambda solution: question_key(f"{solution.example_id}/{solution.sample}", f"pick {seed}"),
    )


def _farthest(solutions: Sequence[Solution], most: int) -> list[Solution]:
    """Each next one is the one least like any before it, by edit distance, as in RFT."""
    left, chosen = list(solutions[1:]), list(solutions[:1])
    likeness = [0.0] * len(left)
    while left and len(chosen) < most:
        newest = chosen[-1].reasoning
        likeness = [
            max(so_far, _likeness(one.reasoning, newest)) for one, so_far in zip(left, likeness, strict=True)
        ]
        farthest = likeness.index(min(likeness))
        chosen.append(left.pop(farthest))
        likeness.pop(farthest)
    return chosen[:most]


def _likeness(first: str, second: str) -> float:
    return SequenceMatcher(None, first, second, autojunk=False).ratio()
