"""A plot on a terminal: braille curves, a mark a dot, intervals as strokes, a legend."""

from dataclasses import dataclass, replace

from cockpit.braille import Canvas
from cockpit.figures import number, percent
from cockpit.report.axes import Across, across, up
from cockpit.report.plots import Line, Panel, Plot
from cockpit.scales import Scale

MARKS = "●■▲◆○▼×♯"
"""One a line; they differ without colour, and stay apart in ASCII."""
PAINTS = ("cyan", "yellow", "magenta", "green", "blue", "red", "white", "bright_cyan")

_LABEL = 6
_LINE = "╌"
Cell = tuple[str, str]
"""Text and its paint; empty for none."""


@dataclass(frozen=True)
class _Frame:
    canvas: Canvas
    x: Across
    y: Scale

    def dot(self, across: float, value: float) -> tuple[int, int]:
        """The dot of a place on the x axis, 0 to 1, and a value."""
        height = self.canvas.dots_down - 1
        down = round((1 - self.y.position(min(max(value, self.y.low), self.y.high))) * height)
        return round(across * (self.canvas.dots_across - 1)), down


def chart(plot: Plot, index: int = 0, width: int = 80, height: int = 14) -> list[list[Cell]]:
    """One panel of a plot as lines of painted text, none wider than `width`. Empty where there are not two dots."""
    panel = plot.panels[index]
    if sum(len(line.dots) for line in panel.lines) < 2:
        return []
    alone = replace(plot, panels=[panel])
    canvas = Canvas(width - _LABEL - 1, height)
    frame = _Frame(canvas, across([dot.x for dot in alone.dots]), up(alone))
    marks: dict[tuple[int, int], Cell] = {}
    for number_, line in reversed(list(enumerate(panel.lines))):
        _draw(frame, line, number_, marks, panel.with_intervals)
    strokes = f", 95 % over {plot.intervals}" if panel.with_intervals else ""
    title = f"{panel.title} against {plot.x_title}{strokes}"
    return [
        [(title, "")],
        *_rows(panel, frame, marks),
        [(_x_labels(frame, width), "")],
        *_legend(panel, width),
    ]


def mark(index: int) -> str:
    """The mark of a line; with its paint it is the only one among 64."""
    return MARKS[(index + index // len(PAINTS)) % len(MARKS)]


def _draw(
    frame: _Frame, line: Line, index: int, marks: dict[tuple[int, int], Cell], with_intervals: bool
) -> None:
    paint, before = PAINTS[index % len(PAINTS)], None
    for dot in line.dots:
        place = frame.x.position(dot.x)
        here = frame.dot(place, dot.value)
        if with_intervals:
            top, bottom = (frame.dot(place, bound)[1] for bound in (dot.high, dot.low))
            frame.canvas.vertical(here[0], top, bottom, paint)
        if before:
            frame.canvas.line(*before, *here, paint)
        before = here
        marks[here[0] >> 1, here[1] >> 2] = (mark(index), paint)


def _rows(panel: Panel, frame: _Frame, marks: dict[tuple[int, int], Cell]) -> list[list[Cell]]:
    height = frame.canvas.height
    labels = {round((1 - frame.y.position(tick)) * (height - 1)): percent(tick) for tick in frame.y.ticks}
    lines: dict[int, str] = {}
    for name, value in panel.references:
        row = frame.dot(0.0, value)[1] >> 2
        lines[row] = f"{lines[row]}, {name}" if row in lines else name
    rows: list[list[Cell]] = []
    for row in range(height):
        label = labels.get(row, "")
        cells: list[Cell] = [(label.rjust(_LABEL) + ("┤" if label else "│"), "")]
        width = frame.canvas.width
        line = f" {lines[row]} {_LINE}".rjust(width, _LINE)[-width:] if row in lines else " " * width
        for column in range(width):
            text, paint = frame.canvas.cell(column, row)
            text = line[column] if text == " " else text
            cells.append(marks.get((column, row), (text, paint)))
        rows.append(cells)
    return rows


def _x_labels(frame: _Frame, width: int) -> str:
    line = [" "] * width
    for tick in frame.x.ticks:
        text = number(tick)
        middle = _LABEL + 1 + round(frame.x.position(tick) * (frame.canvas.width - 1))
        start = min(max(middle - len(text) // 2, 0), width - len(text))
        if all(character == " " for character in line[max(start - 1, 0) : start + len(text) + 1]):
            line[start : start + len(text)] = text
    return "".join(line).rstrip()


def _legend(panel: Panel, width: int) -> list[list[Cell]]:
    """The lines with their marks, and the reference lines with their values, wrapped."""
    entries = [(f"{mark(i)} {line.name}", PAINTS[i % len(PAINTS)]) for i, line in enumerate(panel.lines)]
    entries += [(f"{_LINE} {name} {percent(value)}", "") for name, value in panel.references]
    lines: list[list[Cell]] = [[]]
    for text, paint in entries:
        used = sum(len(cell) for cell, _ in lines[-1])
        if lines[-1] and used + 3 + len(text) > width:
            lines.append([])
        lines[-1].append((("   " if lines[-1] else "") + text[:width], paint))
    return lines
