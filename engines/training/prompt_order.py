"""Which questions stand in which generation batch: whole batches, so that no sampler drops a question of the budget.

TRL's sampler drops the incomplete batch at the end of every epoch. Here all passes over the questions are laid out as
one: each in its own order, and the last batch filled up with questions that are seen once more.
"""

import hashlib
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Order:
    """Positions of the questions, batch after batch."""

    positions: list[int]
    filled: int
    """How many at the end are seen once more to complete the last batch."""


def prompt_order(
    questions: int, per_batch: int, epochs: float, seed: int, batches: int | None = None
) -> Order:
    """`batches` generation batches, or as many as hold `epochs` passes. The first pass keeps the given order."""
    wanted = batches * per_batch if batches is not None else ceil(questions * epochs)
    total = ceil(wanted / per_batch) * per_batch
    positions: list[int] = []
    turn = 0
    while len(positions) < total:
        positions += _shuffled(questions, seed, turn)
        turn += 1
    return Order(positions[:total], total - wanted)


def _shuffled(count: int, seed: int, turn: int) -> list[int]:
    if turn == 0:
        return list(range(count))
    return sorted(range(count), key=lambda place: hashlib.sha256(f"{seed}/{turn}/{place}".encode()).digest())
