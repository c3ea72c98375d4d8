"""A chart of one or a few metrics in braille: line by line, and only the cells that changed go down the line."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from cockpit import curves, scales
from cockpit.axes import SECONDS, Axis
from cockpit.braille import Canvas
from cockpit.messages import CurvesRead
from cockpit.overlay import labelled
from cockpit.widgets import plot_text
from cockpit.widgets.cells import Cell, changed_regions, fit, to_strip
from cockpit.widgets.plot_text import tick_label
from store.metrics import OBSERVED, Bucket

SMOOTHINGS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Memory of the moving average, as a share of the axis."""

_LABEL_WIDTH = 7


class MetricPlot(Widget):
    """Curves over steps. The first metric is drawn solid, the others dashed, each with its name and newest value."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "metric-plot--axis",
        "metric-plot--grid",
        "metric-plot--title",
        "metric-plot--raw",
        "metric-plot--gap",
        "metric-plot--cursor",
        "metric-plot--curve-1",
        "metric-plot--curve-2",
        "metric-plot--curve-3",
        "metric-plot--curve-4",
    }

    smoothing = reactive(0, repaint=False)
    """Index into SMOOTHINGS."""
    log_scale = reactive(False, repaint=False)
    cursor: reactive[float | None] = reactive(None, repaint=False)
    """A place on the axis whose values are read out."""

    @dataclass
    class Pointed(Message):
        """The mouse chose a place on the axis."""

        place: float

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.names = tuple(names)
        self._curves: Mapping[str, Sequence[Bucket]] = {}
        self._last_values: Mapping[str, float | None] = {}
        self._bands: Sequence[Sequence[Bucket]] = ()
        self._total: float | None = None
        self._axis = Axis(SECONDS) if all(name.startswith(OBSERVED) for name in self.names) else Axis()
        self.across: scales.Scale | None = None
        """The part of the axis that is drawn."""
        self._lines: list[list[Cell]] = []
        self._has_data = False

    @property
    def points_wide(self) -> int:
        """How many buckets a curve needs to fill the chart."""
        return max(2 * (self.size.width - _LABEL_WIDTH - 1), 2)

    def show(self, read: CurvesRead) -> None:
        """New data, of which it takes what belongs to its metrics. Runs beside follow the job's own curves."""
        beside = labelled(self.names, read.overlays)
        own = {name: read.curves[name] for name in self.names if read.curves.get(name)}
        self._curves = own | {label: one.curve for label, one in beside.items()}
        self._bands = [one.band for one in beside.values() if one.band]
        known = {label: one.last_value for label, one in beside.items() if one.last_value is not None}
        self._last_values = read.last_values | known
        if self._axis.name != SECONDS:
            self._axis, self._total = read.axis, read.total
        self._has_data = True
        self._redraw()

    @property
    def counts_seconds(self) -> bool:
        """It keeps its axis whatever is chosen."""
        return self._axis.name == SECONDS

    def watch_smoothing(self) -> None:
        self._redraw()

    def watch_log_scale(self) -> None:
        self._redraw()

    def watch_cursor(self) -> None:
        self._redraw()

    def on_click(self, event: events.Click) -> None:
        width = self.size.width - _LABEL_WIDTH - 1
        share = (event.x - _LABEL_WIDTH - 1) / max(width - 1, 1)
        if self.across and 0 <= share <= 1:
            self.post_message(self.Pointed(self.across.low + share * (self.across.high - self.across.low)))

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
        regions = changed_regions(old, new)
        if regions is None:
            self.refresh()
        elif regions:
            self.refresh(*regions)

    def _draw(self) -> list[list[Cell]]:
        width, height = self.size.width - _LABEL_WIDTH - 1, self.size.height - 2
        values = self._values()
        if not values:
            return self._empty()
        most_ticks = max(min(height // 2, 6), 2)
        up = scales.logarithmic(values, most_ticks) if self.log_scale else None
        up = up or scales.linear(values, most_ticks)
        across = self.across = self._scale_across(width)
        canvas = Canvas(width, height)
        memory = SMOOTHINGS[self.smoothing] * (across.high - across.low)
        for band in self._bands:
            curves.shade(canvas, curves.columns(band, across, up, canvas.dots_across), up, "raw")
        lines = (
            {name: curves.smoothed(curve, up, memory) for name, curve in self._curves.items()}
            if memory
            else self._curves
        )
        for index, name in reversed(list(enumerate(self._curves))):
            self._draw_curve(canvas, self._curves[name], lines[name], index, across, up)
        rows = self._rows(canvas, up)
        plot_text.mark_curves(rows, lines, across, up)
        plot_text.mark_gaps(rows, self._curves, across)
        if self.cursor is not None:
            plot_text.mark_cursor(rows, across, self.cursor)
        labels = plot_text.x_labels(self._axis.name, across, _LABEL_WIDTH + 1, width)
        return [self._title(memory, across, width), *rows, labels]

    def _values(self) -> list[float]:
        values = [
            value
            for buckets in (*self._curves.values(), *self._bands)
            for bucket in buckets
            if self._is_in_part(bucket)
            for value in (bucket.low, bucket.high)
            if value is not None and math.isfinite(value)
        ]
        return [value for value in values if value > 0] or values if self.log_scale else values

    def _is_in_part(self, bucket: Bucket) -> bool:
        low, high = self._axis.low, self._axis.high
        return low is None or high is None or (bucket.last_step >= low and bucket.first_step <= high)

    def _scale_across(self, width: int) -> scales.Scale:
        most_ticks = max(width // 12, 2) + 1
        if self._axis.low is not None and self._axis.high is not None:
            return scales.between(self._axis.low, self._axis.high, most_ticks)
        first = min(buckets[0].first_step for buckets in self._curves.values())
        last = max(bucket.last_step for buckets in self._curves.values() for bucket in buckets[-1:])
        high = scales.round_up(last)
        if self._total and self._total >= last:
            high = scales.halved_down_to(self._total, last)
        low = 0.0 if first >= 0 else float(first)
        return scales.between(low, high, most_ticks)

    def _draw_curve(
        self,
        canvas: Canvas,
        buckets: Sequence[Bucket],
        line: Sequence[Bucket],
        index: int,
        across: scales.Scale,
        up: scales.Scale,
    ) -> None:
        paint, dots = f"curve-{index % 4 + 1}", canvas.dots_across
        over = Canvas(canvas.width, canvas.height) if line is not buckets else canvas
        if over is not canvas:
            curves.draw(canvas, curves.columns(buckets, across, up, dots), up, "raw")
        curves.draw(over, curves.columns(line, across, up, dots), up, paint, dashed=index > 0)
        if over is not canvas:
            # Where the two meet in a cell, the average alone is worth seeing.
            canvas.overlay(over)

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
                line.append((plot_text.GRID, "grid") if grid else (text, paint))
            rows.append(line)
        return rows

    def _title(self, memory: float, across: scales.Scale, width: int) -> list[Cell]:
        if self.cursor is not None:
            half = (across.high - across.low) / max(width - 1, 1) / 2
            return plot_text.read_out(self._curves, self._axis.name, self.cursor, half, self.size.width)
        notes = ["log y"] if self.log_scale else []
        if memory:
            length = plot_text.tick_label(round(memory, 1))
            notes.append(f"EMA over {length} {'steps' if self._axis.name == 'step' else self._axis.name}")
        if self._values_left_out():
            notes.append("× NaN, inf or not above 0" if self.log_scale else "× NaN or inf")
        return plot_text.title(self._curves, self._last_values, notes, self.size.width)

    def _values_left_out(self) -> bool:
        return any(
            bucket.missing
            or bucket.low is None
            or not math.isfinite(bucket.low)
            or (self.log_scale and bucket.low <= 0)
            for buckets in self._curves.values()
            for bucket in buckets
        )

    def _empty(self) -> list[list[Cell]]:
        lines: list[list[Cell]] = [[] for _ in range(self.size.height)]
        lines[0] = [(f" {', '.join(self.names)}", "title")]
        lines[self.size.height // 2] = [(" no points yet: they appear as the job logs them", "axis")]
        return lines
