"""A chart of one or a few metrics in braille: line by line, and only the cells that changed go down the line."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.style import Style
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from cockpit import curves, scales
from cockpit.braille import Canvas
from cockpit.figures import number
from cockpit.widgets.cells import Cell, changed_span, fit, to_strip
from store.metrics import Bucket

SMOOTHINGS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Memory of the moving average, as a share of the axis."""

_LABEL_WIDTH = 7
_GRID = "┈"


class MetricPlot(Widget):
    """Curves over steps. The first metric is drawn solid, the others dashed, each with its name and newest value."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "metric-plot--axis",
        "metric-plot--grid",
        "metric-plot--title",
        "metric-plot--raw",
        "metric-plot--gap",
        "metric-plot--curve-1",
        "metric-plot--curve-2",
        "metric-plot--curve-3",
        "metric-plot--curve-4",
    }

    smoothing = reactive(0, repaint=False)
    """Index into SMOOTHINGS."""
    log_scale = reactive(False, repaint=False)

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.names = tuple(names)
        self._curves: Mapping[str, Sequence[Bucket]] = {}
        self._last_values: Mapping[str, float | None] = {}
        self._total_steps: float | None = None
        self._lines: list[list[Cell]] = []
        self._has_data = False

    @property
    def points_wide(self) -> int:
        """How many buckets a curve needs to fill the chart."""
        return max(2 * (self.size.width - _LABEL_WIDTH - 1), 2)

    def show(
        self,
        drawn: Mapping[str, Sequence[Bucket]],
        last_values: Mapping[str, float | None],
        total_steps: float | None,
    ) -> None:
        """New data. `total_steps` fixes the axis, so that a growing curve does not shift."""
        self._curves = {name: drawn[name] for name in self.names if drawn.get(name)}
        self._last_values, self._total_steps = last_values, total_steps
        self._has_data = True
        self._redraw()

    def watch_smoothing(self) -> None:
        self._redraw()

    def watch_log_scale(self) -> None:
        self._redraw()

    def on_resize(self) -> None:
        self._lines = []
        self._redraw()

    def render_line(self, y: int) -> Strip:
        cells = self._lines[y] if y < len(self._lines) else []
        return to_strip(cells, self.size.width, self._style_of)

    def _style_of(self, paint: str) -> Style:
        if not paint:
            return self.visual_style.rich_style
        return self.get_component_rich_style(f"metric-plot--{paint}")

    def _redraw(self) -> None:
        # Nothing is drawn before the first data: two frames at once would be twice the bytes.
        if not self._has_data or self.size.width < 12 or self.size.height < 4:
            return
        new, old = self._draw(), self._lines
        self._lines = new
        if len(new) != len(old):
            self.refresh()
            return
        spans = ((y, changed_span(old[y], new[y])) for y in range(len(new)))
        regions = [Region(span[0], y, span[1] - span[0], 1) for y, span in spans if span]
        if regions:
            self.refresh(*regions)

    def _draw(self) -> list[list[Cell]]:
        width, height = self.size.width - _LABEL_WIDTH - 1, self.size.height - 2
        values = self._values()
        if not values:
            return self._empty()
        most_ticks = max(min(height // 2, 6), 2)
        up = scales.logarithmic(values, most_ticks) if self.log_scale else None
        up = up or scales.linear(values, most_ticks)
        across = self._axis(width)
        canvas = Canvas(width, height)
        memory = SMOOTHINGS[self.smoothing] * (across.high - across.low)
        for index, name in reversed(list(enumerate(self._curves))):
            self._draw_curve(canvas, name, index, across, up, memory)
        rows = self._rows(canvas, up)
        self._mark_gaps(rows, across, width)
        return [self._title(memory), *rows, self._x_labels(across, width)]

    def _values(self) -> list[float]:
        values = [
            value
            for buckets in self._curves.values()
            for bucket in buckets
            for value in (bucket.low, bucket.high)
            if value is not None and math.isfinite(value)
        ]
        return [value for value in values if value > 0] or values if self.log_scale else values

    def _axis(self, width: int) -> scales.Scale:
        first = min(buckets[0].first_step for buckets in self._curves.values())
        last = max(bucket.last_step for buckets in self._curves.values() for bucket in buckets[-1:])
        high = scales.round_up(last)
        if self._total_steps and self._total_steps >= last:
            high = scales.halved_down_to(self._total_steps, last)
        low = 0.0 if first >= 0 else float(first)
        step = scales.tick_step(max(high - low, 1), max(width // 12, 2) + 1)
        ticks = tuple(low + index * step for index in range(int((high - low) / step + 1e-9) + 1))
        return scales.Scale(low, max(high, low + 1), ticks)

    def _draw_curve(
        self, canvas: Canvas, name: str, index: int, across: scales.Scale, up: scales.Scale, memory: float
    ) -> None:
        buckets, paint, dots = self._curves[name], f"curve-{index % 4 + 1}", canvas.dots_across
        if memory:
            curves.draw(canvas, curves.columns(buckets, across, up, dots), up, "raw")
            average = curves.columns(curves.smoothed(buckets, up, memory), across, up, dots)
            # Where the two meet in a cell, the average alone is worth seeing.
            over = Canvas(canvas.width, canvas.height)
            curves.draw(over, average, up, paint, dashed=index > 0)
            canvas.overlay(over)
        else:
            curves.draw(canvas, curves.columns(buckets, across, up, dots), up, paint, dashed=index > 0)

    def _rows(self, canvas: Canvas, up: scales.Scale) -> list[list[Cell]]:
        labels = {
            round((1 - up.position(tick)) * (canvas.height - 1)): tick_label(tick)
            for tick in reversed(up.ticks)
        }
        rows: list[list[Cell]] = []
        for row in range(canvas.height):
            label = labels.get(row)
            edge = "┤" if label is not None else "│"
            line: list[Cell] = [(fit(label or "", _LABEL_WIDTH, right=True) + edge, "axis")]
            for column in range(canvas.width):
                text, paint = canvas.cell(column, row)
                grid = text == " " and label is not None
                line.append((_GRID, "grid") if grid else (text, paint))
            rows.append(line)
        return rows

    def _mark_gaps(self, rows: list[list[Cell]], across: scales.Scale, width: int) -> None:
        for buckets in self._curves.values():
            for bucket in buckets:
                infinite = bucket.low is not None and not (
                    math.isfinite(bucket.low) and math.isfinite(bucket.high or 0)
                )
                if bucket.missing or infinite:
                    column = round(across.position(bucket.last_step) * (width - 1))
                    rows[-1][1 + column] = ("×", "gap")

    def _title(self, memory: float) -> list[Cell]:
        cells: list[Cell] = [(" ", "")]
        for index, name in enumerate(self._curves):
            sign = "━" if index == 0 else "╍"
            cells.append((f"{sign} {name} ", f"curve-{index % 4 + 1}"))
            cells.append((f"{number(_or_nan(self._last_values.get(name)))}   ", "title"))
        notes = ["log y"] if self.log_scale else []
        if memory:
            notes.append(f"EMA over {tick_label(round(memory, 1))} steps")
        if self._values_left_out():
            notes.append("× NaN, inf or not above 0" if self.log_scale else "× NaN or inf")
        return [*cells, (" · ".join(notes), "axis")]

    def _values_left_out(self) -> bool:
        return any(
            bucket.missing
            or bucket.low is None
            or not math.isfinite(bucket.low)
            or (self.log_scale and bucket.low <= 0)
            for buckets in self._curves.values()
            for bucket in buckets
        )

    def _x_labels(self, across: scales.Scale, width: int) -> list[Cell]:
        line = [" "] * (self.size.width)
        for tick in across.ticks:
            text = tick_label(tick)
            middle = _LABEL_WIDTH + 1 + round(across.position(tick) * (width - 1))
            start = min(max(middle - len(text) // 2, 0), len(line) - len(text))
            if all(character == " " for character in line[max(start - 1, 0) : start + len(text)]):
                line[start : start + len(text)] = text
        line[1 : 1 + len("step")] = "step"
        return [("".join(line), "axis")]

    def _empty(self) -> list[list[Cell]]:
        lines: list[list[Cell]] = [[] for _ in range(self.size.height)]
        lines[0] = [(f" {', '.join(self.names)}", "title")]
        lines[self.size.height // 2] = [(" no points yet: they appear as the job logs them", "axis")]
        return lines


def tick_label(tick: float) -> str:
    """A round number without the zeros that a measured one shows."""
    return f"{tick:.5g}" if tick == 0 or 1e-3 <= abs(tick) < 1e4 else number(tick)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
