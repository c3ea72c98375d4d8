"""Made grid puzzles in the form of ARC-AGI-1: three or four demonstrations of one rule, and a test."""

import random
from collections.abc import Callable
from typing import Any

Grid = list[list[int]]


def made_grids(seed: int, difficulty: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Demonstrations and a test, as `{"input": grid, "output": grid}`."""
    draw = random.Random(f"arcagi1 {seed}")
    while True:
        steps = [draw.choice(_RULES)(draw) for _ in range(1 + (difficulty >= 4))]
        grids = [_random_grid(draw, difficulty) for _ in range(12)]
        pairs = [{"input": grid, "output": _apply(steps, grid)} for grid in grids]
        # A grid that the rule does not change shows nothing of it.
        telling = [pair for pair in pairs if pair["input"] != pair["output"]]
        if len(telling) >= 4:
            return telling[:3], telling[3]


def _apply(steps: list[Callable[[Grid], Grid]], grid: Grid) -> Grid:
    for step in steps:
        grid = step(grid)
    return grid


def _random_grid(draw: random.Random, difficulty: int) -> Grid:
    height, width = draw.randint(2, 3 + difficulty), draw.randint(2, 3 + difficulty)
    return [[draw.choice([0, 0, *range(1, 4 + difficulty)]) for _ in range(width)] for _ in range(height)]


def _rotate(_draw: random.Random) -> Callable[[Grid], Grid]:
    return lambda grid: [list(column) for column in zip(*grid[::-1], strict=True)]


def _mirror(draw: random.Random) -> Callable[[Grid], Grid]:
    if draw.random() < 0.5:
        return lambda grid: [row[::-1] for row in grid]
    return lambda grid: grid[::-1]


def _transpose(_draw: random.Random) -> Callable[[Grid], Grid]:
    return lambda grid: [list(column) for column in zip(*grid, strict=True)]


def _recolour(draw: random.Random) -> Callable[[Grid], Grid]:
    colours = list(range(1, 9))
    draw.shuffle(colours)
    table = {0: 0, **dict(zip(range(1, 9), colours, strict=True))}
    return lambda grid: [[table[cell] for cell in row] for row in grid]


def _gravity(_draw: random.Random) -> Callable[[Grid], Grid]:
    def fallen(grid: Grid) -> Grid:
        columns = []
        for column in zip(*grid, strict=True):
            kept = [cell for cell in column if cell]
            columns.append([0] * (len(column) - len(kept)) + kept)
        return [list(row) for row in zip(*columns, strict=True)]

    return fallen


def _tile(_draw: random.Random) -> Callable[[Grid], Grid]:
    return lambda grid: [row + row for row in grid] * 2


def _crop(_draw: random.Random) -> Callable[[Grid], Grid]:
    def cropped(grid: Grid) -> Grid:
        rows = [place for place, row in enumerate(grid) if any(row)]
        columns = [place for place, column in enumerate(zip(*grid, strict=True)) if any(column)]
        if not rows:
            return grid
        return [row[columns[0] : columns[-1] + 1] for row in grid[rows[0] : rows[-1] + 1]]

    return cropped


_RULES: tuple[Callable[[random.Random], Callable[[Grid], Grid]], ...] = (
    _rotate, _mirror, _transpose, _recolour, _gravity, _tile, _crop,
)  # fmt: skip
