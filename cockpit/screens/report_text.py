"""A report as painted lines: charts, tables and sentences, as `tunedeck report` prints them."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from cockpit.comparison import GRADERS
from cockpit.plain_text import plain_line
from cockpit.report import plots
from cockpit.report.chart import PAINTS, chart
from cockpit.report.contents import Report
from cockpit.report.plots import Plot
from cockpit.report.section import Section
from cockpit.report.sections import sections
from cockpit.report.text import subject
from cockpit.widgets.cells import Cell, fit_middle

Line = list[Cell]
_GAP = "  "
_COLOURS = dict(zip(PAINTS, ("accent", "attention", "bad", "good") * 2, strict=True))
"""A screen has four colours for lines; their marks tell apart what shares one."""


def plots_of(found: Report, axis: str | None) -> list[Plot]:
    """What a page shows: accuracy against the axis (None: against each that is known), by round and by epoch."""
    budget = [
        plot for one in found.axes if axis in (None, one) and (plot := plots.against_budget(found, one))
    ]
    return [*budget, *plots.by_round(found), *plots.by_epoch(found)]


def report_lines(found: Report, axis: str | None, grader: str, width: int) -> list[Line]:
    """All of a report for a screen of `width` cells. `grader` is the accuracy that the first chart shows."""
    lines: list[Line] = [[(plain_line(f"{found.name}: {subject(found)}", 300), "strong")], []]
    budget = plots.against_budget(found, axis) if axis else None
    # Of the evolution the overview; a page has the domains of every job.
    others = [*plots.by_round(found), *plots.by_epoch(found)[:1]]
    for drawn in (
        chart(budget, GRADERS.index(grader), width) if budget else [],
        *(chart(plot, width=width) for plot in others),
    ):
        lines += [*_painted(drawn), []] if drawn else []
    for section in sections(found):
        lines += [[(plain_line(section.title, 300), "strong")], *table(section, width)]
        lines += [*([(plain_line(line, 2000), "")] for line in section.lines), []]
    return lines


def _painted(drawn: Iterable[Sequence[Cell]]) -> list[Line]:
    return [[(plain_line(text, 400), _COLOURS.get(paint, "")) for text, paint in line] for line in drawn]


def table(section: Section, width: int) -> list[Line]:
    """The rows; columns that there is no room for stand in more tables below, each with the first column again."""
    if not section.headers:
        return []
    rows = [[plain_line(cell, 200) for cell in row] for row in (section.headers, *section.rows)]
    most = max(width // 2 - len(_GAP), 8)
    rows = [[fit_middle(name, min(cell_len(name), most)), *rest] for name, *rest in rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines: list[Line] = []
    for part in _parts(widths, width):
        right = "".join(section.right[place : place + 1] or "l" for place in part)
        for number, row in enumerate(rows):
            cells = [row[place] for place in part]
            lines.append(_row(cells, [widths[place] for place in part], right, "" if number else "muted"))
    return lines


def _parts(widths: Sequence[int], width: int) -> list[list[int]]:
    """Which columns stand beside each other: as many as there is room for, the first of all in each part."""
    parts = [[0]]
    for place in range(1, len(widths)):
        taken = sum(widths[one] + len(_GAP) for one in (*parts[-1], place)) - len(_GAP)
        if taken > width and len(parts[-1]) > 1:
            parts.append([0])
        parts[-1].append(place)
    return parts


def _row(cells: Sequence[str], widths: Sequence[int], right: str, paint: str) -> Line:
    spaces = [" " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]
    texts = [space + cell if right[place : place + 1] == "r" else cell + space for place, (cell, space) in enumerate(zip(cells, spaces, strict=True))]  # fmt: skip
    return [(_GAP.join(texts).rstrip(), paint)]
