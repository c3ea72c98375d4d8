"""A forest plot as SVG: a row a model, a mark with its interval for each of a few measures; for light and dark pages.

The same rows give the same bytes. No scripts, no fonts of its own, no external references.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from cockpit.figures import percent
from cockpit.plain_text import plain_line
from cockpit.report.svg import DARK, LIGHT

WIDTH, TOP, ROW, LANE, NAMES, RIGHT = 880, 64, 26, 14, 300, 190


@dataclass(frozen=True)
class Mark:
    """A share with its interval, where there is one, and what is to be said of it."""

    value: float
    low: float | None
    high: float | None
    note: str


@dataclass(frozen=True)
class Row:
    """A model, with a mark for each measure; None where it has none."""

    name: str
    marks: Sequence[Mark | None]


def forest(title: str, measures: Sequence[str], rows: Sequence[Row]) -> str:
    """The plot as a document, from 0 to 100 %."""
    tall = ROW + LANE * (len(measures) - 1)
    bottom = TOP + tall * len(rows)
    height = bottom + 34
    parts = [*_axis(bottom), *_legend(measures)]
    for place, row in enumerate(rows):
        middle = TOP + tall * place + ROW / 2
        parts.append(f'<text class="ink" x="16" y="{middle + 4:.1f}">{_text(row.name)}</text>')
        for index, mark in enumerate(row.marks):
            if mark is not None:
                parts += _mark(mark, index, middle + LANE * index)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{_text(title)}</title>",
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
            f'<text class="ink title" x="16" y="22">{_text(title)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _across(share: float) -> float:
    return NAMES + min(max(share, 0.0), 1.0) * (WIDTH - NAMES - RIGHT)


def _axis(bottom: int) -> Iterator[str]:
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _across(tick)
        yield f'<line class="grid" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="faint" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{percent(tick)}</text>'


def _legend(measures: Sequence[str]) -> Iterator[str]:
    for index, name in enumerate(measures):
        x = NAMES + 110 * index
        yield _shape(index, x, 40)
        yield f'<text class="ink" x="{x + 12}" y="44">{_text(name)}</text>'


def _mark(mark: Mark, index: int, y: float) -> Iterator[str]:
    x = _across(mark.value)
    if mark.low is not None and mark.high is not None:
        ends = f'x1="{_across(mark.low):.1f}" y1="{y:.1f}" x2="{_across(mark.high):.1f}" y2="{y:.1f}"'
        yield f'<line class="s{index % len(LIGHT)} whisker" {ends}/>'
    yield _shape(index, x, y)
    said = f"{percent(mark.value)}  {mark.note}"
    yield f'<text class="faint" x="{WIDTH - RIGHT + 14}" y="{y + 4:.1f}">{_text(said)}</text>'


def _shape(index: int, x: float, y: float) -> str:
    """A circle, then squares: told apart without colour."""
    kind = f'class="s{index % len(LIGHT)} mark"'
    if index % 2 == 0:
        return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    return f'<rect {kind} x="{x - 3.7:.1f}" y="{y - 3.7:.1f}" width="7.4" height="7.4"/>'


def _style() -> str:
    rules = (
        "text{font:12px system-ui,sans-serif}.title{font-size:14px;font-weight:600}.whisker{stroke-width:2}"
    )
    light = _colours("#1f2328", "#6e7781", "#d8dee4", "#ffffff", LIGHT)
    dark = _colours("#e6edf3", "#9da7b1", "#3d444d", "#0d1117", DARK)
    return f"{rules}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _colours(ink: str, faint: str, grid: str, paper: str, palette: Sequence[str]) -> str:
    rules = f".ink{{fill:{ink}}}.faint{{fill:{faint}}}.grid{{stroke:{grid}}}.paper{{fill:{paper}}}"
    for index, colour in enumerate(palette):
        rules += f".s{index}.whisker{{stroke:{colour}}}.s{index}.mark{{fill:{colour}}}"
    return rules


def _text(text: str) -> str:
    """Names of jobs are a user's, and may hold anything."""
    return escape(plain_line(text, 60))
