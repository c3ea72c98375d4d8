"""Heat maps: the models of a matrix over two fields, one in rows and one in columns, as means over their seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cockpit.figures import percent
from cockpit.report.evaluations import BUDGET_FIELD, method_and_cell
from cockpit.report.points import Point

SHADES = " ░▒▓█"
"""From the lowest to the highest of a map."""


@dataclass(frozen=True)
class Grid:
    """One method over two fields. A cell may be missing."""

    method: str
    row_field: str
    column_field: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: dict[tuple[str, str], Point]

    def values(self, grader: str) -> dict[tuple[str, str], float]:
        return {place: point.accuracy[grader].value for place, point in self.cells.items()}


def grids_of(points: Iterable[Point]) -> list[Grid]:
    """Methods whose models differ in exactly two fields beside the seed, each with two values or more."""
    methods: dict[str, list[tuple[dict[str, str], Point]]] = {}
    for point in points:
        name = next(iter(point.models.values())).model.name
        method, cell = method_and_cell(name)
        methods.setdefault(method, []).append(({k: v for k, v in cell.items() if k != "seed"}, point))
    grids = []
    for method, found in methods.items():
        fields = list(dict.fromkeys(field for cell, _ in found for field in cell))
        varied = {f: _ordered({cell[f] for cell, _ in found if f in cell}) for f in fields}
        varied = {f: values for f, values in varied.items() if len(values) > 1}
        if len(varied) != 2 or BUDGET_FIELD in varied:
            continue
        (row, rows), (column, columns) = varied.items()
        cells = {(cell[row], cell[column]): point for cell, point in found if row in cell and column in cell}
        grids.append(Grid(method, row, column, rows, columns, cells))
    return grids


def heat_rows(grid: Grid, grader: str) -> list[list[str]]:
    """A row of the table for each value of the row field: its name, then percentages with their shade."""
    values = grid.values(grader)
    low, high = min(values.values()), max(values.values())

    def shown(place: tuple[str, str]) -> str:
        if place not in values:
            return ""
        share = (values[place] - low) / (high - low) if high > low else 0.0
        return f"{percent(values[place])} {SHADES[min(int(share * len(SHADES)), len(SHADES) - 1)]}"

    return [[row, *(shown((row, column)) for column in grid.columns)] for row in grid.rows]


def best(grid: Grid, grader: str) -> str:
    """Which cell is the highest, and why that alone proves nothing."""
    values = grid.values(grader)
    row, column = max(values, key=lambda place: values[place])
    seeds = max(len(point.models) for point in grid.cells.values())
    over = f"mean over {seeds} seeds" if seeds > 1 else "one seed"
    return (
        f"Highest: {short(grid.row_field)} {row}, {short(grid.column_field)} {column} with "
        f"{percent(values[row, column])} ({over}). It was picked among {len(values)} by this very score, which flatters "
        "it: evaluate it on other questions before believing the figure."
    )


def short(field: str) -> str:
    """`lambda` for `jepa.lambda`."""
    return field.rpartition(".")[2]


def _ordered(values: Iterable[str]) -> list[str]:
    """Numbers by size, then words."""

    def key(value: str) -> tuple[int, float, str]:
        try:
            return 0, float(value), value
        except ValueError:
            return 1, 0.0, value

    return sorted(values, key=key)
