"""The training curves of the compared models over each other; the one under the cursor is solid, the others are dashed."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from cockpit.axes import Axis
from cockpit.comparison import Entry
from cockpit.feed import Feed
from cockpit.figures import figure
from cockpit.keymap import named
from cockpit.messages import CurvesRead, OverlayRead
from cockpit.overlays import MOST_MODELS, overlay_of
from cockpit.plain_text import plain_line
from cockpit.widgets.banner import Banner
from cockpit.widgets.cells import Cell, fit, fit_middle
from cockpit.widgets.metric_plot import MetricPlot
from cockpit.widgets.row_list import RowList
from cockpit.widgets.slot_bar import SlotBar

_COLUMN = 22


class OverlayScreen(Screen[None]):
    """A chart for the loss, one for the accuracy on development questions, and the models with their newest values."""

    CSS_PATH = "overlay.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "overlay", Binding("escape,backspace,c", "back", "Back", key_display="esc")
    )

    def __init__(self, feed: Feed, entries: Sequence[Entry]) -> None:
        super().__init__()
        self._feed, self._entries = feed, list(entries)
        self._read: OverlayRead | None = None
        self._labels: list[str] = []

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield Static("", id="overlay-title", markup=False)
        yield Horizontal(id="overlay-charts")
        yield RowList(id="overlay-models", opens=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(RowList).focus()

    def on_screen_resume(self) -> None:
        self._feed.watch(self, overlay_of(self._entries, max(2 * self.size.width, 2)))

    def on_screen_suspend(self) -> None:
        self._feed.unwatch(self)

    async def on_overlay_read(self, read: OverlayRead) -> None:
        is_new = self._read is None or list(self._read.charts) != list(read.charts)
        self._read = read
        self._labels = list(dict.fromkeys(label for of in read.charts.values() for label in of))
        if is_new:
            holder = self.query_one("#overlay-charts")
            await holder.remove_children()
            await holder.mount_all(
                MetricPlot([metric], id=f"chart-{index}") for index, metric in enumerate(read.charts)
            )
        self.query_one(RowList).display = bool(self._labels)
        self.call_after_refresh(self._draw)

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        self._draw()

    def action_back(self) -> None:
        self.dismiss(None)

    def _draw(self) -> None:
        read = self._read
        if read is None:
            return
        models = self.query_one(RowList)
        chosen = self._labels[min(models.cursor, len(self._labels) - 1)] if self._labels else ""
        for plot, (metric, of) in zip(self.query(MetricPlot), read.charts.items(), strict=True):
            order = sorted(of, key=lambda label: label != chosen)
            names = {label: plain_line(label, 30) for label in order}
            plot.names = tuple(names.values())
            drawn = {names[label]: of[label] for label in order}
            last_values = {names[label]: read.last_values[metric][label] for label in order}
            plot.show(CurvesRead(0, drawn, last_values, None, Axis()))
        name = max(self.size.width - 4 - _COLUMN * len(read.charts), 16)
        header: list[Cell] = [(fit("  ━ solid   ╍ the others", name + 2), "muted")]
        header += [(fit(plain_line(metric, 40), _COLUMN, right=True), "muted") for metric in read.charts]
        rows = [self._row(read, label, label == chosen, name) for label in self._labels]
        models.show(header, rows)
        self.query_one("#overlay-title", Static).update(Content(self._said(read)))

    def _row(self, read: OverlayRead, label: str, chosen: bool, width: int) -> list[Cell]:
        cells: list[Cell] = [
            ("━ " if chosen else "╍ ", "accent"),
            (fit_middle(plain_line(label, 200), width), "strong" if chosen else ""),
        ]
        for metric, last in read.last_values.items():
            cells.append((fit(figure(metric, last.get(label)), _COLUMN, right=True), ""))
        return cells

    def _said(self, read: OverlayRead) -> str:
        if not read.charts:
            return "No training curves: no job of these models has logged a metric."
        said = ", ".join(read.charts) + "   ↑ ↓ choose the solid one"
        if read.without:
            said += f"   without curves: {', '.join(plain_line(label, 30) for label in read.without)}"
        more = len(self._entries) - MOST_MODELS
        return said + (f"   and {more} more models left out" if more > 0 else "")
