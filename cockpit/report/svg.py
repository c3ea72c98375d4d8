"""A plot as SVG: panels side by side, bands, a legend; for light and dark pages.

The same plot gives the same bytes. No scripts, no fonts of its own, no external references.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from cockpit.figures import number, percent
from cockpit.plain_text import plain_line
from cockpit.report.axes import Across, across, up
from cockpit.report.plots import Line, Panel, Plot
from cockpit.scales import Scale

# Okabe and Ito's colours, which people with colour blindness can tell apart; brighter ones on dark pages.
LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#806d00", "#56b4e9", "#7f3fbf", "#555555")
DARK = ("#56b4e9", "#f0894a", "#2fc79a", "#e29fc4", "#e0cf4a", "#9ad3f5", "#b98cf0", "#b0b0b0")

WIDTH, PANEL_TOP, PANEL_HEIGHT, LEFT, GAP, RIGHT = 880, 46, 270, 56, 34, 16
PANEL_WIDTH = (WIDTH - LEFT - GAP - RIGHT) / 2
LEGEND_TOP, LEGEND_LINE, CHARACTER = PANEL_TOP + PANEL_HEIGHT + 62, 20, 6.7


@dataclass(frozen=True)
class _Frame:
    left: float
    x: Across
    y: Scale

    def across(self, value: float) -> float:
        return self.left + self.x.position(value) * PANEL_WIDTH

    def down(self, value: float) -> float:
        inside = min(max(value, self.y.low), self.y.high)
        return PANEL_TOP + (1 - self.y.position(inside)) * PANEL_HEIGHT


def svg(plot: Plot) -> str:
    """The plot as a document."""
    x, y = across([dot.x for dot in plot.dots]), up(plot)
    parts: list[str] = []
    for index, panel in enumerate(plot.panels):
        frame = _Frame(LEFT + index * (PANEL_WIDTH + GAP), x, y)
        parts += _axes(frame, panel.title, index == 0)
        parts += _references(frame, panel)
        numbered = list(enumerate(panel.lines, start=_first_index(plot, index)))
        if panel.with_intervals:
            parts += [element for i, line in numbered for element in _band(frame, line, i)]
        parts += [element for i, line in numbered for element in _curve(frame, line, i)]
    legend, bottom = _legend(plot)
    height = bottom + 12
    middle = LEFT + (len(plot.panels) * (PANEL_WIDTH + GAP) - GAP) / 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{_text(plot.title)}</title>",
            f"<style>{_style()}</style>",
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
            f'<text class="ink title" x="{LEFT}" y="20">{_text(plot.title)}</text>',
            *parts,
            f'<text class="ink" x="{middle:.1f}" y="{PANEL_TOP + PANEL_HEIGHT + 40}" text-anchor="middle">'
            f"{_text(plot.x_title)}</text>",
            *legend,
            "</svg>",
            "",
        ]
    )


def _first_index(plot: Plot, index: int) -> int:
    """Panels with the same lines share their colours; other lines go on with the next ones."""
    first, names = plot.panels[0], [line.name for line in plot.panels[index].lines]
    return 0 if names == [line.name for line in first.lines] else len(first.lines)


def _style() -> str:
    rules = "text{font:12px system-ui,sans-serif}.title{font-size:14px;font-weight:600}.name{font-weight:600}"
    rules += ".curve{fill:none;stroke-width:2}.band{stroke:none;fill-opacity:.16}.whisker{stroke-width:1.2}"
    rules += ".reference{stroke-dasharray:5 4;stroke-width:1.2}.mark{stroke:none}"
    light = _colours("#1f2328", "#6e7781", "#d8dee4", "#ffffff", LIGHT)
    dark = _colours("#e6edf3", "#9da7b1", "#3d444d", "#0d1117", DARK)
    return f"{rules}{light}@media (prefers-color-scheme:dark){{{dark}}}"


def _colours(ink: str, faint: str, grid: str, paper: str, palette: Sequence[str]) -> str:
    rules = (
        f".ink{{fill:{ink}}}.faint{{fill:{faint}}}.grid{{stroke:{grid}}}.axis,.reference{{stroke:{faint}}}"
    )
    rules += f".paper{{fill:{paper}}}"
    for index, colour in enumerate(palette):
        rules += f".s{index}.curve,.s{index}.whisker{{stroke:{colour}}}.s{index}.band,.s{index}.mark{{fill:{colour}}}"
    return rules


def _axes(frame: _Frame, title: str, with_labels: bool) -> Iterator[str]:
    left, right, bottom = frame.left, frame.left + PANEL_WIDTH, PANEL_TOP + PANEL_HEIGHT
    for tick in frame.y.ticks:
        y = frame.down(tick)
        yield f'<line class="grid" x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>'
        if with_labels:
            label = percent(tick)
            yield f'<text class="faint" x="{left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'
    free = float("-inf")
    for tick in frame.x.ticks:
        x, label = frame.across(tick), number(tick)
        if x - len(label) * CHARACTER / 2 < free:
            continue
        free = x + len(label) * CHARACTER / 2 + 8
        yield f'<line class="axis" x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}"/>'
        yield f'<text class="faint" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
    yield f'<line class="axis" x1="{left:.1f}" y1="{bottom}" x2="{right:.1f}" y2="{bottom}"/>'
    yield f'<text class="ink name" x="{left:.1f}" y="{PANEL_TOP - 8}">{_text(title)}</text>'


def _references(frame: _Frame, panel: Panel) -> Iterator[str]:
    """Dashed lines with their names at the right end; names of lines that lie close stand side by side."""
    named: list[tuple[float, float]] = []
    right = frame.left + PANEL_WIDTH
    for name, value in panel.references:
        y, x = frame.down(value), right - 4
        for other, start in named:
            if abs(other - y) < 14:
                x = min(x, start - 12)
        named.append((y, x - len(name) * CHARACTER))
        ends = f'x1="{frame.left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"'
        yield f'<line class="reference" {ends}/>'
        yield f'<text class="faint" x="{x:.1f}" y="{y - 4:.1f}" text-anchor="end">{_text(name)}</text>'


def _band(frame: _Frame, line: Line, index: int) -> Iterator[str]:
    kind = f"s{index % len(LIGHT)}"
    places = [(frame.across(dot.x), frame.down(dot.high), frame.down(dot.low)) for dot in line.dots]
    if len(places) > 1:
        upper = [f"{x:.1f},{top:.1f}" for x, top, _ in places]
        lower = [f"{x:.1f},{bottom:.1f}" for x, _, bottom in reversed(places)]
        yield f'<polygon class="{kind} band" points="{" ".join(upper + lower)}"/>'
    for x, top, bottom in places:
        yield f'<line class="{kind} whisker" x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"/>'


def _curve(frame: _Frame, line: Line, index: int) -> Iterator[str]:
    places = [(frame.across(dot.x), frame.down(dot.value)) for dot in line.dots]
    if len(places) > 1:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f'<polyline class="s{index % len(LIGHT)} curve" points="{points}"/>'
    for x, y in places:
        yield _mark(index, x, y)


def _mark(index: int, x: float, y: float) -> str:
    """A shape a line, so that they can be told apart without colour; shape and colour together repeat after 32."""
    kind, shape = f'class="s{index % len(LIGHT)} mark"', (index + index // len(LIGHT)) % 4
    if shape == 0:
        return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    if shape == 1:
        return f'<rect {kind} x="{x - 3.7:.1f}" y="{y - 3.7:.1f}" width="7.4" height="7.4"/>'
    corners = ((0, -5), (4.6, 3.8), (-4.6, 3.8)) if shape == 2 else ((0, -5.2), (5.2, 0), (0, 5.2), (-5.2, 0))
    points = " ".join(f"{x + across:.1f},{y + down:.1f}" for across, down in corners)
    return f'<polygon {kind} points="{points}"/>'


def _legend(plot: Plot) -> tuple[list[str], int]:
    """The entries, wrapped, and where they end."""
    names = {
        index: line.name
        for number_, panel in enumerate(plot.panels)
        for index, line in enumerate(panel.lines, start=_first_index(plot, number_))
    }
    parts, x, y = [], float(LEFT), LEGEND_TOP
    for index, name in names.items():
        width = 26 + len(name) * CHARACTER
        if x > LEFT and x + width > WIDTH - RIGHT:
            x, y = float(LEFT), y + LEGEND_LINE
        parts.append(_mark(index, x + 6, y - 4))
        parts.append(f'<text class="ink" x="{x + 18:.1f}" y="{y}">{_text(name)}</text>')
        x += width + 14
    notes = [f"bands: 95 % over {plot.intervals}"] if plot.panels[0].with_intervals else []
    for name, _ in plot.panels[0].references:
        values = [
            percent(value) for panel in plot.panels for other, value in panel.references if other == name
        ]
        notes.append(f"{name} {' / '.join(values)}")
    y += LEGEND_LINE
    parts.append(f'<text class="faint" x="{LEFT}" y="{y}">{_text("; ".join(notes))}</text>')
    return parts, y


def _text(text: str) -> str:
    """Names of jobs are a user's, and may hold anything."""
    return escape(plain_line(text, 120))
