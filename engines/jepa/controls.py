"""What ought to show no effect: targets of other examples, and steps cut anywhere."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

from engines.jepa.rows import Step, SteppedRow


def others(rows: Sequence[int], seed: str) -> list[int]:
    """For each pair, of which `rows` says whose it is, the index of a pair of another row; -1 where there is none.

    The rows are put in a random circle and each takes the targets of the next.
    """
    of_row: dict[int, list[int]] = {}
    for index, row in enumerate(rows):
        of_row.setdefault(row, []).append(index)
    circle = sorted(of_row)
    if len(circle) < 2:
        return [-1] * len(rows)
    random.Random(seed).shuffle(circle)
    following = dict(zip(circle, [*circle[1:], circle[0]], strict=True))
    found = [-1] * len(rows)
    for row, own in of_row.items():
        theirs = of_row[following[row]]
        for place, index in enumerate(own):
            found[index] = theirs[place % len(theirs)]
    return found


def random_boundaries(row: SteppedRow, seed: int) -> SteppedRow:
    """The row with as many steps over the same tokens, cut at random; always the same for the same row and seed."""
    if len(row.steps) < 2:
        return row
    first, last = row.steps[0].start, row.steps[-1].end
    draw = random.Random(f"{seed}/{row.id}")
    cuts = sorted(draw.sample(range(first + 1, last), len(row.steps) - 1))
    edges = [first, *cuts, last]
    steps = tuple(Step(start, end, end) for start, end in itertools.pairwise(edges))
    return replace(row, steps=steps)
