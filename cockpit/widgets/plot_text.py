"""What stands around and over the curves of a chart: names and values above it, the axis below, gaps and the cursor."""

import math
from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from cockpit import axes, curves, scales
from cockpit.figures import number, span
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell, fit_middle
from store.metrics import Bucket

GRID = "┈"
_CROSSHAIR = "┆"
_MARKS = 4
"""How often a curve has its letter, where there is room."""
_NAME_TO_READ, _LEAST_NAME = 6, 2
Curves = Mapping[str, Sequence[Bucket]]


def title(
    drawn: Curves, last_values: Mapping[str, float | None], notes: Sequence[str], width: int
) -> list[Cell]:
    """Each curve with its newest value, where one is known, then how it is drawn."""
    values = {name: last_values[name] for name in drawn if name in last_values}
    texts = {name: number(math.nan if value is None else value) for name, value in values.items()}
    return _named(" ", drawn, [texts.get(name, "") for name in drawn], " · ".join(notes), width)


def read_out(drawn: Curves, axis: str, place: float, half: float, width: int) -> list[Cell]:
    """Where the cursor is, and what each curve has there: its value, or the least and the greatest of a few."""
    texts = [_values(curves.value_at(buckets, place, half)) for buckets in drawn.values()]
    return _named(f" {axis} {axes.place_text(axis, place)}   ", drawn, texts, "", width)


def _named(start: str, drawn: Curves, texts: Sequence[str], end: str, width: int) -> list[Cell]:
    """Every curve with its text, in `width` cells: names that are too long for that lose their middles.

    Where too little would be left of them, there is less between the curves, and letters alone say how they are drawn.
    """
    names = [plain_line(name, 60) for name in drawn]
    lengths = [cell_len(name) for name in names]
    lettered = are_lettered(drawn)
    for gap, with_line in (("   ", True), ("  ", True), (" ", not lettered)):
        heads = [_head(index, with_line, lettered) for index in range(len(names))]
        tails = [f" {text}{gap}" for text in texts]
        room = width - sum(map(cell_len, (start, end, *heads, *tails))) + (0 if end else len(gap))
        most = _most_each(lengths, room)
        if most >= min(max(lengths), _NAME_TO_READ):
            break
    cells: list[Cell] = [(start, "title")]
    for index, (head, name, tail) in enumerate(zip(heads, names, tails, strict=True)):
        short = fit_middle(name, min(cell_len(name), most))
        cells += [(f"{head}{short}", f"curve-{index % 4 + 1}"), (tail, "title")]
    return [*cells, (end, "axis")]


def _most_each(lengths: Sequence[int], room: int) -> int:
    """How long a name may be so that all of them fit: short ones leave their room to the others."""
    return next(
        (most for most in range(max(lengths), _LEAST_NAME, -1) if sum(min(n, most) for n in lengths) <= room),
        _LEAST_NAME,
    )


def _values(found: Bucket | None) -> str:
    if found is None:
        return ""
    if found.low is None or found.high is None:
        return "NaN"
    gap = f" and {found.missing} NaN" if found.missing else ""
    if found.low == found.high:
        return number(found.low) + gap
    return f"{number(found.low)} to {number(found.high)}{gap}"


def _head(index: int, with_line: bool, lettered: bool) -> str:
    """How a curve is drawn, and its letter where it has one."""
    line = ("━ " if index == 0 else "╍ ") if with_line else ""
    return line + (f"{_letter(index)} " if lettered else "")


def are_lettered(drawn: Curves) -> bool:
    """Two curves are told apart by how they are drawn, also without colours; more need letters."""
    return len(drawn) > 2


def _letter(index: int) -> str:
    return chr(ord("A") + index % 26)


def mark_curves(rows: list[list[Cell]], drawn: Curves, across: scales.Scale, up: scales.Scale) -> None:
    """Each curve's letter on it, a few times and at other places than those of the others."""
    if not are_lettered(drawn):
        return
    width = len(rows[0]) - 1
    every = max(width // _MARKS, 2 * len(drawn))
    half = (across.high - across.low) / max(width - 1, 1) / 2
    for index, buckets in enumerate(drawn.values()):
        for column in range(every * (2 * index + 1) // (2 * len(drawn)), width, every):
            place = across.low + (across.high - across.low) * column / max(width - 1, 1)
            found = curves.value_at(buckets, place, half)
            if found is None or not curves.is_shown(found, up) or not _reaches(buckets, place, half):
                continue
            assert found.low is not None and found.high is not None
            row = round((1 - up.position((found.low + found.high) / 2)) * (len(rows) - 1))
            rows[min(max(row, 0), len(rows) - 1)][1 + column] = (_letter(index), f"curve-{index % 4 + 1}")


def _reaches(buckets: Sequence[Bucket], place: float, half: float) -> bool:
    return buckets[0].first_step - half <= place <= buckets[-1].last_step + half


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
