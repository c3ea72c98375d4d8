"""The curves of a job: charts side by side or stacked, smoothing and log scale for all of them at once."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from cockpit.axes import STEP
from cockpit.curves_view import CurvesView
from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.messages import CurvesRead
from cockpit.reads import read_curves
from cockpit.scales import Scale
from cockpit.widgets.metric_plot import SMOOTHINGS, MetricPlot

_SIDE_BY_SIDE_WIDTH = 130


class CurvesPane(Container, can_focus=True):
    """Watches the feed for the metrics of its charts while it is shown."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "curves",
        Binding("plus,equals_sign", "smooth(1)", "Smoother", show=False, key_display="+", tooltip="Average over more steps"),
        Binding("minus", "smooth(-1)", "Less smooth", show=False, key_display="-", tooltip="Average over fewer steps"),
        Binding("0", "smooth(0)", "Not smoothed", show=False, tooltip="Show every value as it was logged"),
        Binding("y", "log_scale", "Log y", tooltip="Logarithmic axis for the values"),
        Binding("x", "axis", "X axis", tooltip="Draw over steps, epochs, tokens or time, as far as they are logged"),
        Binding("z", "zoom(0.5)", "Zoom in", show=False, tooltip="Look closer, around the cursor where there is one"),
        Binding("Z", "zoom(2.0)", "Zoom out", show=False, tooltip="Look from further away"),
        Binding("less_than_sign", "pan(-0.25)", "Pan left", show=False, key_display="<", tooltip="Move to earlier points"),
        Binding("greater_than_sign", "pan(0.25)", "Pan right", show=False, key_display=">", tooltip="Move to later points"),
        Binding("comma", "cursor(-1)", "Cursor left", show=False, key_display=",", tooltip="Read out the values at a place, further left"),
        Binding("full_stop", "cursor(1)", "Cursor right", show=False, key_display=".", tooltip="Read out the values at a place, further right"),
        Binding("a", "whole", "All", show=False, tooltip="Show the whole curve again, without the cursor"),
    )  # fmt: skip

    def __init__(self, feed: Feed, job_id: int, view: CurvesView, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._feed, self._job_id = feed, job_id
        self.charts: tuple[tuple[str, ...], ...] | None = None
        self.view = view
        self.axes: Sequence[str] = (STEP,)
        """Those that the job has the data for."""
        self._across = (0, 0)

    def compose(self) -> ComposeResult:
        yield Static(
            "This job has logged no metrics yet; curves appear here with the first ones.", id="no-curves"
        )

    async def draw(self, charts: Sequence[tuple[str, ...]]) -> None:
        """Shows these charts, each of the metrics named together."""
        if tuple(charts) == self.charts:
            return
        self.charts = tuple(charts)
        await self.query(MetricPlot).remove()
        self.query_one("#no-curves").display = not self.charts
        plots = [MetricPlot(names) for names in self.charts]
        for plot in plots:
            plot.smoothing, plot.log_scale = self.view.smoothing, self.view.log_scale
            plot.cursor = None if plot.counts_seconds else self.view.cursor
        await self.mount_all(plots)
        self._arrange()
        self.call_after_refresh(self.watch_feed)

    def watch_feed(self) -> None:
        plots = list(self.query(MetricPlot))
        if not plots or not self.display or not self.charts:
            return
        names = [name for chart in self.charts for name in chart]
        # The charts themselves know their new widths only after the layout that follows.
        width = 2 * max(self.size.width // max(self._across[0], 1), 1)
        view = self.view
        read = partial(
            read_curves,
            job_id=self._job_id,
            names=names,
            width=width,
            axis_name=view.axis,
            part=view.part,
            others=view.others,
        )
        self._feed.watch(self, read)

    def unwatch_feed(self) -> None:
        self._feed.unwatch(self)

    def on_unmount(self) -> None:
        self._feed.unwatch(self)

    def on_resize(self) -> None:
        self._arrange()
        self.watch_feed()

    def on_curves_read(self, read: CurvesRead) -> None:
        for plot in self.query(MetricPlot):
            plot.show(read)
        self.view.axis_shown = read.axis

    def action_smooth(self, by: int) -> None:
        self.view.smoothing = min(max(self.view.smoothing + by, 0), len(SMOOTHINGS) - 1) if by else 0
        self._dress()

    def action_log_scale(self) -> None:
        self.view.log_scale = not self.view.log_scale
        self._dress()

    def action_axis(self) -> None:
        self.view.next_axis(self.axes)
        self._dress()
        self.watch_feed()

    def action_zoom(self, factor: float) -> None:
        if scale := self._scale:
            self.view.zoom(scale, factor)
            self.watch_feed()

    def action_pan(self, by: float) -> None:
        if scale := self._scale:
            self.view.pan(scale, by)
            self.watch_feed()

    def action_cursor(self, by: int) -> None:
        if scale := self._scale:
            self.view.move_cursor(scale, by, self._columns)
            self._dress()

    def action_whole(self) -> None:
        self.view.part = self.view.cursor = None
        self._dress()
        self.watch_feed()

    def on_metric_plot_pointed(self, message: MetricPlot.Pointed) -> None:
        self.view.cursor = message.place
        self._dress()

    @property
    def _scale(self) -> Scale | None:
        """What the first chart that follows the chosen axis shows of it."""
        plots = [plot for plot in self.query(MetricPlot) if not plot.counts_seconds]
        return next((plot.across for plot in plots if plot.across), None)

    @property
    def _columns(self) -> int:
        return max((plot.points_wide // 2 for plot in self.query(MetricPlot)), default=2)

    def _dress(self) -> None:
        with self.app.batch_update():
            for plot in self.query(MetricPlot):
                plot.smoothing, plot.log_scale = self.view.smoothing, self.view.log_scale
                plot.cursor = None if plot.counts_seconds else self.view.cursor

    def _arrange(self) -> None:
        count = max(len(self.charts or ()), 1)
        across = 1 if self.size.width < _SIDE_BY_SIDE_WIDTH and count <= 2 else min(count, 2)
        if self._across != (across, count):
            self._across = across, count
            self.styles.grid_size_columns = across
            self.styles.grid_size_rows = -(-count // across)
