"""What stands around and over the curves of a chart: names and values above it, the axis below, gaps and the cursor."""

import math
from collections.abc import Mapping, Sequence

from cockpit import axes, curves, scales
from cockpit.figures import number, span
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell
from store.metrics import Bucket

GRID = "┈"
_CROSSHAIR = "┆"
Curves = Mapping[str, Sequence[Bucket]]


def title(drawn: Curves, last_values: Mapping[str, float | None], notes: Sequence[str]) -> list[Cell]:
    """Each curve with its newest value, then how it is drawn."""
    cells: list[Cell] = [(" ", "")]
    for index, name in enumerate(drawn):
        value = last_values.get(name)
        cells += [_name(name, index), (f"{number(math.nan if value is None else value)}   ", "title")]
    return [*cells, (" · ".join(notes), "axis")]


def read_out(drawn: Curves, axis: str, place: float, half: float) -> list[Cell]:
    """Where the cursor is, and what each curve has there: its value, or the least and the greatest of a few."""
    cells: list[Cell] = [(f" {axis} {axes.place_text(axis, place)}   ", "title")]
    for index, (name, buckets) in enumerate(drawn.items()):
        found = curves.value_at(buckets, place, half)
        cells += [_name(name, index), (f"{_values(found)}   ", "title")]
    return cells


def _values(found: Bucket | None) -> str:
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return "NaN"
    gap = f" and {found.missing} NaN" if found.missing else ""
    if found.low == found.high:
        return number(found.low) + gap
    return f"{number(found.low)} to {number(found.high)}{gap}"


def _name(name: str, index: int) -> Cell:
    return f"{'━' if index == 0 else '╍'} {plain_line(name, 60)} ", f"curve-{index % 4 + 1}"


def x_labels(axis: str, across: scales.Scale, indent: int, width: int) -> list[Cell]:
    """Ticks below the columns that they belong to, as far as they do not touch."""
    line = list(f" {axis}".ljust(indent + width))
    for tick in across.ticks:
        text = span(tick) or "0s" if axis in (axes.TIME, axes.SECONDS) else tick_label(tick)
        middle = indent + round(across.position(tick) * (width - 1))
        start = min(max(middle - len(text) // 2, 0), len(line) - len(text))
        if all(character == " " for character in line[max(start - 1, 0) : start + len(text)]):
            line[start : start + len(text)] = text
    return [("".join(line), "axis")]


def tick_label(tick: float) -> str:
    """A round number without the zeros that a measured one shows."""
    return f"{tick:.5g}" if tick == 0 or 1e-3 <= abs(tick) < 1e4 else number(tick)


def mark_gaps(rows: list[list[Cell]], drawn: Curves, across: scales.Scale) -> None:
    """A cross in the last row where values are NaN or infinite. A row is its label, then a cell a column."""
    for buckets in drawn.values():
        for bucket in buckets:
            infinite = bucket.low is not None and not (
                math.isfinite(bucket.low) and math.isfinite(bucket.high or 0)
            )
            place = across.position(bucket.last_step)
            if (bucket.missing or infinite) and 0 <= place <= 1:
                rows[-1][_column(rows, place)] = ("×", "gap")


def mark_cursor(rows: list[list[Cell]], across: scales.Scale, cursor: float) -> None:
    """A line from top to bottom that leaves the curves to be seen."""
    place = across.position(cursor)
    if not 0 <= place <= 1:
        return
    for row in rows:
        text, _ = row[_column(rows, place)]
        row[_column(rows, place)] = (_CROSSHAIR if text in (" ", GRID) else text, "cursor")


def _column(rows: list[list[Cell]], place: float) -> int:
    return 1 + round(place * (len(rows[0]) - 2))
