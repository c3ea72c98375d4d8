"""One job, live: curves, log, recipe, history and results, each read only while it is looked at."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Footer, Static

from cockpit import cosine_map, heat_maps, reads, studies
from cockpit.axes import offered
from cockpit.chart_choice import default_charts, possible_charts
from cockpit.feed import Feed
from cockpit.figures import Pace
from cockpit.health_reads import HealthCheck
from cockpit.keymap import named
from cockpit.messages import Compare, HistoryRead, JobRead, ResultsRead
from cockpit.screens import health_text, job_text, job_wishes
from cockpit.screens.metric_picker import Chart, MetricPicker
from cockpit.widgets.banner import Banner
from cockpit.widgets.curves_pane import CurvesPane
from cockpit.widgets.job_columns import state_of
from cockpit.widgets.log_search_view import SearchableLog
from cockpit.widgets.log_view import LogView
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.tab_strip import TabStrip
from cockpit.widgets.text_view import TextView

TABS = ("curves", "log", "recipe", "history", "results")
LOG_FILE = "worker.log"


class JobScreen(Screen[None]):
    """A head that always shows how far the job is, and tabs below it."""

    CSS_PATH = "job.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "job",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        *(Binding(str(index + 1), f"tab({index})", TABS[index].title(), show=False) for index in range(len(TABS))),
        Binding("right_square_bracket,l,right", "turn(1)", "Next tab", show=False),
        Binding("left_square_bracket,left", "turn(-1)", "Previous tab", show=False),
        Binding("m", "metrics", "Metrics", tooltip="Choose which metrics to draw"),
        Binding("c", "cancel", "Cancel", tooltip="Cancel the job; one that runs stops at a checkpoint"),
        Binding("r", "retry", "Retry", tooltip="Queue an ended job again; it goes on from its last checkpoint"),
        Binding("h", "hold", "Hold", tooltip="Hold a waiting job back, or release it"),
        Binding("v", "compare", "Compare", tooltip="Compare with the other scored jobs of the experiment"),
    )  # fmt: skip

    def __init__(self, feed: Feed, job_id: int, tab: str = TABS[0]) -> None:
        super().__init__()
        self._feed, self._job_id = feed, job_id
        self._pace, self._health = Pace(), HealthCheck()
        self._read: JobRead | None = None
        self._charts: list[Chart] | None = None
        self._tab = tab

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield Static("", id="head", markup=False)
        yield TabStrip([name.title() for name in TABS])
        with ContentSwitcher(initial=self._tab, id="tabs"):
            yield self._pane(self._tab)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(TabStrip).active = TABS.index(self._tab)
        self.query_one(f"#{self._tab}").focus()

    def on_screen_resume(self) -> None:
        self._feed.watch(
            self, partial(reads.read_job, pace=self._pace, health=self._health, job_id=self._job_id)
        )
        self._watch_tab(self._tab)

    def on_screen_suspend(self) -> None:
        self._feed.unwatch(self)
        self._unwatch_tab()

    def on_resize(self) -> None:
        self._draw_head()

    async def on_job_read(self, read: JobRead) -> None:
        self._read = read
        # One frame for the head and the charts: each in its own would be sent down the line in full.
        with self.app.batch_update():
            self._draw_head()
            await self._draw_charts(read)

    def _draw_head(self) -> None:
        if self._read:
            head = job_text.head(self._read, state_of(self._read.job), self.size.width)
            self.query_one("#head", Static).update(head)

    async def _draw_charts(self, read: JobRead) -> None:
        if self._tab == "curves":
            charts = default_charts(read.series) if self._charts is None else self._charts
            pane = self.query_one(CurvesPane)
            pane.axes = offered([one.name for one in read.series])
            await pane.draw(charts)

    async def on_tab_strip_chosen(self, message: TabStrip.Chosen) -> None:
        await self._show(message.index)

    async def action_tab(self, index: int) -> None:
        await self._show(index)

    async def action_turn(self, by: int) -> None:
        await self._show((TABS.index(self._tab) + by) % len(TABS))

    async def _show(self, index: int) -> None:
        """Makes a tab when it is first looked at."""
        name = TABS[index]
        self._unwatch_tab()
        self._tab = name
        self.query_one(TabStrip).active = index
        switcher = self.query_one(ContentSwitcher)
        if not switcher.query(f"#{name}"):
            await switcher.add_content(self._pane(name))
        switcher.current = name
        switcher.query_one(f"#{name}").focus()
        self._watch_tab(name)
        if self._read:
            await self._draw_charts(self._read)

    def _pane(self, name: str) -> Widget:
        if name == "curves":
            return CurvesPane(self._feed, self._job_id, id=name)
        if name == "log":
            return SearchableLog(self._feed, self._feed.database.run_dir(self._job_id) / LOG_FILE, id=name)
        return TextView(id=name)

    def _watch_tab(self, name: str) -> None:
        pane = self.query_one(f"#{name}")
        if isinstance(pane, CurvesPane | LogView):
            pane.watch_feed()
        elif name == "history":
            self._feed.watch(self._target, partial(reads.read_history, job_id=self._job_id))
        elif name == "results":
            directory = self._feed.database.run_dir(self._job_id)
            files = [directory / name for name in (heat_maps.FILE, cosine_map.FILE, studies.FILE)]
            read = partial(reads.read_results, job_id=self._job_id)
            self._feed.watch(self._target, read, reads.file_stamp(*files))
        elif isinstance(pane, TextView) and self._read:
            pane.show(job_text.recipe_lines(self._read.job))

    @property
    def _target(self) -> Widget:
        """The screen has a watch for the head already; the one of a tab is left in the name of the switcher."""
        return self.query_one(ContentSwitcher)

    def _unwatch_tab(self) -> None:
        self._feed.unwatch(self._target)
        for pane in (*self.query(CurvesPane), *self.query(LogView)):
            pane.unwatch_feed()

    def on_history_read(self, read: HistoryRead) -> None:
        self.query_one("#history", TextView).show(job_text.history_lines(read))

    def on_results_read(self, read: ResultsRead) -> None:
        run_dir = str(self._feed.database.run_dir(self._job_id))
        found = self._read.health if self._read else []
        lines = [*health_text.health_lines(found), *job_text.result_lines(read, run_dir)]
        self.query_one("#results", TextView).show(lines)

    def action_metrics(self) -> None:
        if self._read is None:
            return

        def chosen(charts: list[Chart] | None) -> None:
            if charts is not None:
                self._charts = charts
                self.run_worker(self._show(TABS.index("curves")))

        current = self._charts if self._charts is not None else default_charts(self._read.series)
        self.app.push_screen(MetricPicker(possible_charts(self._read.series), current), chosen)

    def action_cancel(self) -> None:
        if self._read:
            job_wishes.cancel(self, self._read.job)

    def action_retry(self) -> None:
        if self._read:
            job_wishes.retry(self, self._read.job)

    def action_hold(self) -> None:
        if self._read:
            job_wishes.hold_or_release(self, self._read.job)

    def action_compare(self) -> None:
        self.post_message(Compare([self._job_id]))

    def action_back(self) -> None:
        self.dismiss(None)
