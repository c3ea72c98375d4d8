"""Lines of painted text, cut to whole cells, for widgets that draw themselves line by line."""

from collections.abc import Callable, Iterable
from itertools import groupby

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip

Cell = tuple[str, str]
"""A text and the name of its paint; the empty name is the widget's own."""


def fit(text: str, width: int, right: bool = False) -> str:
    """Exactly `width` cells; what is too long ends with `…`."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - length) + text if right else text + " " * (width - length)


def fit_middle(text: str, width: int) -> str:
    """Exactly `width` cells; what is too long loses its middle, for the ends tell the cells of a matrix apart."""
    length = cell_len(text)
    if length <= width or width < 6:
        return fit(text, width)
    head = set_cell_size(text, (width - 1) // 3)
    tail = text
    while cell_len(tail) > width - 1 - cell_len(head):
        tail = tail[1:]
    return fit(f"{head}…{tail}", width)


def to_strip(cells: Iterable[Cell], width: int, style_of: Callable[[str], Style]) -> Strip:
    """One line. Every segment has a style: a segment without one crashes Textual's monochrome filter."""
    segments = [
        Segment("".join(text for text, _ in group), style_of(paint))
        for paint, group in groupby(cells, key=lambda cell: cell[1])
    ]
    return Strip(segments).adjust_cell_length(width, style_of(""))


def changed_span(old: list[Cell], new: list[Cell]) -> tuple[int, int] | None:
    """The cells from..to (exclusive) in which two lines differ; None when they are the same."""
    if old == new:
        return None
    start = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        start += cell_len(after[0])
    width = max(_width(old), _width(new))
    end = width
    for before, after in zip(reversed(old), reversed(new), strict=False):
        if before != after or end <= start:
            break
        end -= cell_len(after[0])
    return start, max(end, start + 1)


def changed_regions(old: list[list[Cell]], new: list[list[Cell]]) -> list[Region] | None:
    """What to refresh where one set of lines takes the place of another; None for all of it."""
    if len(old) != len(new):
        return None
    spans = ((y, changed_span(old[y], new[y])) for y in range(len(new)))
    return [Region(span[0], y, span[1] - span[0], 1) for y, span in spans if span]


def _width(cells: list[Cell]) -> int:
    return sum(cell_len(text) for text, _ in cells)
