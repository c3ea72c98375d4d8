"""The curves of a job: charts side by side or stacked, smoothing and log scale for all of them at once."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static

from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.messages import CurvesRead
from cockpit.reads import read_curves
from cockpit.widgets.metric_plot import SMOOTHINGS, MetricPlot
from store.metrics import Series

TOGETHER = (
    ("loss", "eval_loss"),
    ("lm_loss", "jepa_loss", "panel/jepa_loss"),
    ("margin", "panel/margin", "retrieval", "panel/retrieval"),
    ("dev_accuracy_strict", "dev_accuracy_robust"),
    ("train_reward_mean", "validation_reward_mean"),
    ("mean_domains", "strict"),
)
"""Metrics that share a chart, in the order of the charts."""

_SIDE_BY_SIDE_WIDTH = 130


class CurvesPane(Container, can_focus=True):
    """Watches the feed for the metrics of its charts while it is shown."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "curves",
        Binding("plus,equals_sign", "smooth(1)", "Smoother", show=False, key_display="+", tooltip="Average over more steps"),
        Binding("minus", "smooth(-1)", "Less smooth", show=False, key_display="-", tooltip="Average over fewer steps"),
        Binding("0", "smooth(0)", "Not smoothed", show=False, tooltip="Show every value as it was logged"),
        Binding("y", "log_scale", "Log y", tooltip="Logarithmic axis for the values"),
    )  # fmt: skip

    def __init__(self, feed: Feed, job_id: int, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._feed, self._job_id = feed, job_id
        self.charts: tuple[tuple[str, ...], ...] | None = None
        self._smoothing, self._log_scale = 0, False
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
            plot.smoothing, plot.log_scale = self._smoothing, self._log_scale
        await self.mount_all(plots)
        self._arrange()
        self.call_after_refresh(self.watch_feed)

    def watch_feed(self) -> None:
        plots = list(self.query(MetricPlot))
        if not plots or not self.display or not self.charts:
            return
        names = [name for chart in self.charts for name in chart]
        width = max(plot.points_wide for plot in plots)
        self._feed.watch(self, partial(read_curves, job_id=self._job_id, names=names, width=width))

    def unwatch_feed(self) -> None:
        self._feed.unwatch(self)

    def on_unmount(self) -> None:
        self._feed.unwatch(self)

    def on_resize(self) -> None:
        self._arrange()
        self.watch_feed()

    def on_curves_read(self, read: CurvesRead) -> None:
        for plot in self.query(MetricPlot):
            plot.show(read.curves, read.last_values, read.total_steps)

    def action_smooth(self, by: int) -> None:
        self._smoothing = min(max(self._smoothing + by, 0), len(SMOOTHINGS) - 1) if by else 0
        for plot in self.query(MetricPlot):
            plot.smoothing = self._smoothing

    def action_log_scale(self) -> None:
        self._log_scale = not self._log_scale
        for plot in self.query(MetricPlot):
            plot.log_scale = self._log_scale

    def _arrange(self) -> None:
        count = max(len(self.charts or ()), 1)
        across = 1 if self.size.width < _SIDE_BY_SIDE_WIDTH and count <= 2 else min(count, 2)
        if self._across != (across, count):
            self._across = across, count
            self.styles.grid_size_columns = across
            self.styles.grid_size_rows = -(-count // across)


def default_charts(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """Loss and accuracy where there are such metrics, else the first two there are."""
    names = [one.name for one in series]
    shared = [tuple(name for name in group if name in names) for group in TOGETHER]
    return [group for group in shared if group] or [(name,) for name in names[:2]]


def possible_charts(series: Sequence[Series]) -> list[tuple[str, ...]]:
    """Every metric once: those that share a chart together, the others alone."""
    names = [one.name for one in series]
    shared = [group for group in (tuple(n for n in group if n in names) for group in TOGETHER) if group]
    taken = {name for group in shared for name in group}
    return [*shared, *((name,) for name in names if name not in taken)]
