"""A heat map as SVG: rows down, columns across, a figure in every cell. The same map gives the same bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from cockpit.cosine_map import CosineMap
from cockpit.figures import percent
from cockpit.heat_maps import HeatMap
from cockpit.plain_text import plain_line
from cockpit.report.grid import Grid, short

_CELL_WIDTH, _CELL_HEIGHT, _LEFT, _TOP, _MARGIN = 66, 28, 110, 66, 16
_BETTER, _WORSE = "#0072b2", "#d55e00"
"""Okabe and Ito's blue and vermilion, which people with colour blindness can tell apart."""


@dataclass(frozen=True)
class Heat:
    """What is drawn. A cell's colour is as strong as its value is large; below 0 it is of the other colour."""

    key: str
    """A word for the name of its file."""
    title: str
    row_title: str
    column_title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: Mapping[tuple[str, str], float]
    texts: Mapping[tuple[str, str], str]
    note: str


def of_grid(grid: Grid, grader: str) -> Heat:
    """A matrix over two fields: accuracy from the lowest cell, which has no colour, to the highest."""
    values = grid.values(grader)
    low = min(values.values())
    return Heat(
        f"map-{grid.method}-{grader}",
        f"{grid.method}: {grader} accuracy",
        short(grid.row_field),
        short(grid.column_field),
        grid.rows,
        grid.columns,
        {place: value - low for place, value in values.items()},
        {place: percent(value) for place, value in values.items()},
        "Means over seeds.",
    )


def of_search(job_id: int, found: HeatMap) -> Heat:
    """What steering does to given texts, in thousandths of a nat a token."""
    what = "right texts against wrong ones" if found.of_margin else "gold solutions"
    return Heat(
        f"heat-{job_id}-{found.direction}",
        f"job {job_id}, {found.direction}: {what}",
        "layer",
        "strength",
        [str(layer) for layer in found.layers],
        [f"{alpha:g}" for alpha in found.alphas],
        {(str(layer), f"{alpha:g}"): value for (layer, alpha), value in found.values.items()},
        {
            (str(layer), f"{alpha:g}"): f"{1000 * value:+.0f}{'*' * ((layer, alpha) in found.significant)}"
            for (layer, alpha), value in found.values.items()
        },
        "Thousandths of a nat a token; + is better; * significant over the whole map.",
    )


def of_cosines(job_id: int, found: CosineMap) -> Heat:
    """Who pulls where whom does: cosines of the tasks' gradients, in hundredths."""
    pairs = {pair: value for pair, value in found.cosines.items() if pair[0] != pair[1]}
    return Heat(
        f"cosines-{job_id}",
        f"job {job_id}: cosines of the tasks' gradients at step {found.step:,}",
        "task",
        "task",
        found.tasks,
        found.tasks,
        pairs,
        {pair: f"{100 * value:+.0f}" for pair, value in pairs.items()},
        "Hundredths; below 0 is a conflict. Of mere noise, half of all pairs are one.",
    )


def heat_svg(heat: Heat) -> str:
    """The map as a document."""
    width = max(_LEFT + len(heat.columns) * _CELL_WIDTH + _MARGIN, 480)
    height = _TOP + len(heat.rows) * _CELL_HEIGHT + 34
    largest = max(map(abs, heat.values.values()), default=0.0) or 1.0
    cells = [
        element
        for down, row in enumerate(heat.rows)
        for across, column in enumerate(heat.columns)
        if (row, column) in heat.values
        for element in _cell(heat, row, column, down, across, largest)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img">',
            f"<title>{_text(heat.title)}</title>",
            "<style>text{font:12px system-ui,sans-serif;fill:#222}.title{font-size:14px;font-weight:600}</style>",
            f'<rect fill="#ffffff" width="{width}" height="{height}"/>',
            f'<text class="title" x="{_MARGIN}" y="22">{_text(heat.title)}</text>',
            f'<text x="{_MARGIN}" y="{_TOP - 8}">{_text(heat.row_title)}</text>',
            f'<text x="{_LEFT}" y="{_TOP - 26}">{_text(heat.column_title)}</text>',
            *(_column(column, across) for across, column in enumerate(heat.columns)),
            *(_row(row, down) for down, row in enumerate(heat.rows)),
            *cells,
            f'<text x="{_MARGIN}" y="{height - 12}">{_text(heat.note)}</text>',
            "</svg>",
            "",
        ]
    )


def _cell(heat: Heat, row: str, column: str, down: int, across: int, largest: float) -> list[str]:
    value = heat.values[row, column]
    x, y = _LEFT + across * _CELL_WIDTH, _TOP + down * _CELL_HEIGHT
    colour = _BETTER if value >= 0 else _WORSE
    # Never so dark that the figure on it is hard to read.
    opacity = f"{0.6 * abs(value) / largest:.3f}"
    return [
        f'<rect x="{x}" y="{y}" width="{_CELL_WIDTH - 2}" height="{_CELL_HEIGHT - 2}" fill="{colour}" '
        f'fill-opacity="{opacity}" stroke="#cccccc"/>',
        f'<text x="{x + _CELL_WIDTH / 2 - 1:g}" y="{y + 18}" text-anchor="middle">{_text(heat.texts[row, column])}</text>',
    ]


def _column(name: str, across: int) -> str:
    x = _LEFT + across * _CELL_WIDTH + _CELL_WIDTH / 2 - 1
    return f'<text x="{x:g}" y="{_TOP - 8}" text-anchor="middle">{_text(name)}</text>'


def _row(name: str, down: int) -> str:
    return (
        f'<text x="{_LEFT - 10}" y="{_TOP + down * _CELL_HEIGHT + 18}" text-anchor="end">{_text(name)}</text>'
    )


def _text(text: str) -> str:
    return escape(plain_line(text, 90))
