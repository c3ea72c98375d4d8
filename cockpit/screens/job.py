"""One job, live: curves, log, recipe, history and results, each read only while it is looked at."""

from functools import partial
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Footer, Static

from cockpit import reads
from cockpit.asked import Compare
from cockpit.axes import offered
from cockpit.chart_choice import default_charts, possible_charts
from cockpit.feed import Feed
from cockpit.figures import Pace
from cockpit.health_reads import HealthCheck
from cockpit.job_view import SCREEN, charts_left, curves_left, tab_left, to_leave
from cockpit.keymap import named
from cockpit.messages import HistoryRead, JobRead, RecipeRead, ResultsRead
from cockpit.overlay import siblings
from cockpit.screens import health_text, job_text, job_wishes
from cockpit.screens.job_tabs import ALWAYS, TABS, make_pane, offered_tabs, unwatch_pane, watch_pane
from cockpit.screens.metric_picker import Chart, MetricPicker
from cockpit.view_state import ViewState
from cockpit.widgets.banner import Banner
from cockpit.widgets.curves_pane import CurvesPane
from cockpit.widgets.job_columns import state_of
from cockpit.widgets.metric_plot import SMOOTHINGS
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.tab_strip import TabStrip
from cockpit.widgets.text_view import TextView


class JobScreen(Screen[None]):
    """A head that always shows how far the job is, and tabs below it."""

    CSS_PATH = "job.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "job",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        *(Binding(str(index + 1), f"tab({index})", TABS[index].title(), show=False, tooltip=f"Show the {TABS[index]} of the job") for index in range(len(TABS))),
        Binding("right_square_bracket,l,right", "turn(1)", "Next tab", show=False),
        Binding("left_square_bracket,left", "turn(-1)", "Previous tab", show=False),
        Binding("m", "metrics", "Metrics", tooltip="Choose which metrics to draw"),
        Binding("o", "overlay", "Overlay", show=False, tooltip="Choose other runs of the experiment to draw beside this one"),
        Binding("c", "cancel", "Cancel", tooltip="Cancel the job; one that runs stops at a checkpoint"),
        Binding("r", "retry", "Retry", tooltip="Queue an ended job again; it goes on from its last checkpoint"),
        # All that stands in the footer has to fit into 80 cells beside the keys of a tab.
        Binding("h", "hold", "Hold", show=False, tooltip="Hold a waiting job back, or release it"),
        Binding("v", "compare", "Compare", tooltip="Compare with the other scored jobs of the experiment"),
    )  # fmt: skip

    def __init__(self, feed: Feed, job_id: int, tab: str | None, left: ViewState) -> None:
        """Opens on a tab, or on the one that was open when the last job was left."""
        super().__init__()
        self._left = left
        self._view = curves_left(left.of(SCREEN), len(SMOOTHINGS))
        # A tab that only some jobs have is not known to be there before the first read.
        self._tab = tab or tab_left(left.of(SCREEN), ALWAYS)
        self._opened_on = tab
        self._feed, self._job_id = feed, job_id
        self._pace, self._health = Pace(), HealthCheck()
        self._read: JobRead | None = None
        self._results: ResultsRead | None = None
        self._tabs = offered_tabs(None)
        self._charts: list[Chart] | None = None

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield Static("", id="head", markup=False)
        yield TabStrip([name.title() for name in self._tabs])
        with ContentSwitcher(initial=self._tab, id="tabs"):
            yield make_pane(self._tab, self._feed, self._job_id, self._view)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(TabStrip).active = self._tabs.index(self._tab)
        self.query_one(f"#{self._tab}").focus()

    def on_screen_resume(self) -> None:
        self._feed.watch(
            self, partial(reads.read_job, pace=self._pace, health=self._health, job_id=self._job_id)
        )
        watch_pane(self._pane, self._feed, self._job_id, self._target)

    def on_screen_suspend(self) -> None:
        self._feed.unwatch(self)
        unwatch_pane(self._pane, self._feed, self._target)

    def on_unmount(self) -> None:
        """Leaves the view as it is, but for a tab that was chosen for the person."""
        before = self._left.of(SCREEN)
        tab = str(before.get("tab", ALWAYS[0])) if self._tab == self._opened_on else self._tab
        if self._read:
            engine = self._read.job.engine
            self._left.leave(SCREEN, **to_leave(before, tab, self._view, engine, self._charts))

    def on_resize(self) -> None:
        self._draw_head()

    async def on_job_read(self, read: JobRead) -> None:
        if self._charts is None:
            names = [one.name for one in read.series]
            self._charts = charts_left(self._left.of(SCREEN), read.job.engine, names)
        self._read = read
        # One frame for the head and the charts: each in its own would be sent down the line in full.
        with self.app.batch_update():
            self._tabs = offered_tabs(read)
            self.query_one(TabStrip).offer([name.title() for name in self._tabs])
            self._draw_head()
            self._draw_results()
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
        await self._show((self._tabs.index(self._tab) + by) % len(self._tabs))

    async def _show(self, index: int) -> None:
        """Makes a tab when it is first looked at."""
        if index >= len(self._tabs):
            return
        unwatch_pane(self._pane, self._feed, self._target)
        self._tab = self._tabs[index]
        self.query_one(TabStrip).active = index
        switcher = self.query_one(ContentSwitcher)
        if not switcher.query(f"#{self._tab}"):
            await switcher.add_content(make_pane(self._tab, self._feed, self._job_id, self._view))
        switcher.current = self._tab
        self._pane.focus()
        watch_pane(self._pane, self._feed, self._job_id, self._target)
        if self._read:
            await self._draw_charts(self._read)

    @property
    def job_id(self) -> int:
        return self._job_id

    @property
    def _pane(self) -> Widget:
        """What the chosen tab shows."""
        return self.query_one(f"#{self._tab}")

    @property
    def _target(self) -> Widget:
        """The screen has a watch for the head already; the one of a tab is left in the name of the switcher."""
        return self.query_one(ContentSwitcher)

    def on_history_read(self, read: HistoryRead) -> None:
        self.query_one("#history", TextView).show(job_text.history_lines(read))

    def on_recipe_read(self, read: RecipeRead) -> None:
        self.query_one("#recipe", TextView).show(job_text.recipe_lines(read))

    def on_results_read(self, read: ResultsRead) -> None:
        self._results = read
        self._draw_results()

    def _draw_results(self) -> None:
        if self._results and self._tab == "results":
            run_dir = str(self._feed.database.run_dir(self._job_id))
            health = health_text.health_lines(self._read.health if self._read else [])
            self.query_one("#results", TextView).show(
                [*health, *job_text.result_lines(self._results, run_dir)]
            )

    def action_metrics(self) -> None:
        if self._read is None:
            return

        def chosen(charts: list[Chart] | None) -> None:
            if charts is not None:
                self._charts = charts
                self.run_worker(self._show(self._tabs.index("curves")))

        current = self._charts if self._charts is not None else default_charts(self._read.series)
        self.app.push_screen(MetricPicker(possible_charts(self._read.series), current), chosen)

    @work(thread=True, exclusive=True, group="siblings", exit_on_error=False)
    def action_overlay(self) -> None:
        """Who else there is stands in the store, which is not read where keys are heard."""
        found = siblings(self._feed.database, self._job_id)
        self.app.call_from_thread(self._choose_overlay, {(f"#{one.id} {one.name}",): one.id for one in found})

    def _choose_overlay(self, runs: dict[Chart, int]) -> None:
        view = self._view
        if not runs:
            self.notify("No other run of this experiment has logged metrics.", timeout=3)
            return

        def chosen(labels: list[Chart] | None) -> None:
            if labels is not None:
                view.others = tuple(runs[label] for label in labels)
                self.run_worker(self._show(self._tabs.index("curves")))

        marked = [label for label, number in runs.items() if number in view.others]
        self.app.push_screen(
            MetricPicker(list(runs), marked, "Runs to draw beside", may_be_none=True), chosen
        )

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
