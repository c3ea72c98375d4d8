"""Home: every job of every experiment, live."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Footer, Static

from cockpit import queue_view
from cockpit.asked import ChooseRecipe, OpenGroups, OpenJob
from cockpit.feed import Feed
from cockpit.figures import Pace
from cockpit.forecast import Forecast
from cockpit.keymap import named
from cockpit.messages import QueueRead
from cockpit.queue_view import QueueView
from cockpit.reads import read_forecast, read_queue
from cockpit.screens.asking import PickScreen
from cockpit.screens.queue_text import EMPTY, detail
from cockpit.screens.queue_wishes import Chosen
from cockpit.screens.wish_keys import WishKeys
from cockpit.view_state import ViewState
from cockpit.widgets.banner import Banner
from cockpit.widgets.filter_box import FilterBox
from cockpit.widgets.job_lines import WINDOW_ROWS, JobLines
from cockpit.widgets.job_table import JobTable
from cockpit.widgets.lanes import LanesView
from cockpit.widgets.queue_summary import QueueSummary
from cockpit.widgets.slot_bar import SlotBar
from store.queue import SORTS, JobRow, Sort, read_ids
from store.schema import WAITING
from store.tree import Folds


class QueueScreen(WishKeys):
    """The table of jobs, a line about the one under the cursor, and wishes by key."""

    CSS_PATH = "queue.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "queue",
        Binding("n", "new", "New", tooltip="Choose a recipe and queue its jobs"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Find jobs by words, fields and regular expressions"),
        Binding("o", "sort", "Sort", show=False, tooltip="Choose what the jobs are sorted by"),
        Binding("O", "reverse", "Reverse", show=False, tooltip="Sort the other way around"),
        Binding("e", "tree", "Experiments", show=False, tooltip="Show the jobs by experiment, or as one list"),
        Binding("Z", "fold_all", "Fold all", show=False, tooltip="Fold all experiments, or unfold them"),
        Binding("A", "mark_all", "Mark all", show=False, tooltip="Mark all jobs that the filter finds"),
        Binding("I", "invert", "Invert marks", show=False, tooltip="Turn the marks of what the filter finds around"),
        Binding("S", "groups", "Groups", show=False, tooltip="Groups and schedules: slots, pause, resume, remove"),
        Binding("escape", "clear", "Clear filter and marks", show=False),
    )  # fmt: skip

    def __init__(self, feed: Feed, state: ViewState) -> None:
        super().__init__(feed, queue_view.restore(state))
        self._state = state
        self._pace = Pace()
        self._jobs = 0
        self._offset = 0
        self._forecast = Forecast()

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield LanesView(self._feed)
        yield QueueSummary()
        yield JobTable(id="job-table")
        yield Static("", id="empty", markup=False)
        yield FilterBox(self._view.text)
        yield Static("", id="detail", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#empty").display = False
        self._table.focus()
        # The feed may tell of the slots after the rows: what waits is counted among them.
        self.watch(self.app, "slots", self._show_summary, init=False)

    def on_screen_resume(self) -> None:
        self._watch()
        self._feed.watch(self.query_one(QueueSummary), read_forecast)
        self.query_one(LanesView).watch_feed()

    def on_resize(self) -> None:
        self.query_one(LanesView).draw()

    def on_screen_suspend(self) -> None:
        for target in (self, self.query_one(QueueSummary), self.query_one(LanesView)):
            self._feed.unwatch(target)

    def on_queue_read(self, read: QueueRead) -> None:
        self._jobs = read.jobs
        self._table.show(read)
        empty = self.query_one("#empty", Static)
        empty.display = read.count == 0
        self._table.display = read.count > 0
        if read.count == 0:
            text = (
                f"No job matches `{self._view.text}`.\n\n  esc  clears the filter"
                if self._view.text
                else EMPTY
            )
            empty.update(Content(text))
        self._show_summary()

    def on_queue_summary_foreseen(self, message: QueueSummary.Foreseen) -> None:
        self._forecast = message.forecast
        self._table.expect(message.forecast)
        self._show_summary()

    def _watch(self) -> None:
        self._table.sort, self._table.in_tree = self._view.sort, self._view.folds is not None
        read = partial(read_queue, pace=self._pace, view=self._view, offset=self._offset, limit=WINDOW_ROWS)
        self._feed.watch(self, read, self._view.stamp)

    def _show_summary(self) -> None:
        slots = getattr(self.app, "slots", None)
        waiting = slots.count(*WAITING) if slots else 0
        self.query_one(QueueSummary).show(
            self._view, self._jobs, waiting, len(self._table.marked), self._forecast
        )

    def on_job_lines_window_moved(self, message: JobLines.WindowMoved) -> None:
        self._offset = message.offset
        self._watch()

    def on_job_table_opened(self, message: JobTable.Opened) -> None:
        row = message.row
        self.post_message(OpenJob(row.id, is_evaluated=row.accuracy is not None and row.loss is None))

    def on_job_lines_highlighted(self, message: JobLines.Highlighted) -> None:
        shown = self.query_one("#detail", Static)
        row = message.row
        start = self._table.start_of(row) if isinstance(row, JobRow) else None
        content = detail(row, start, len(self._table.marked)) if row else Content("")
        if shown.content != content:
            shown.update(content)
        self._show_summary()

    def on_job_table_folded(self, message: JobTable.Folded) -> None:
        if self._view.folds is not None:
            self._change(replace(self._view, folds=self._view.folds.turned(message.experiment_id)))

    def on_job_table_sort_chosen(self, message: JobTable.SortChosen) -> None:
        if message.column in SORTS:
            self._sort_by(message.column)

    def action_groups(self) -> None:
        self.post_message(OpenGroups())

    def action_new(self) -> None:
        self.post_message(ChooseRecipe())

    def action_sort(self) -> None:
        def chosen(place: int | None) -> None:
            if place is not None:
                self._sort_by(SORTS[place])

        question = "Sort by (once more: the other way around)"
        self.app.push_screen(PickScreen(question, SORTS, SORTS.index(self._view.sort.column)), chosen)

    def _sort_by(self, column: str) -> None:
        now = self._view.sort
        self._change(
            replace(self._view, sort=Sort(column, not now.reverse if column == now.column else False)),
            top=True,
        )

    def action_reverse(self) -> None:
        self._sort_by(self._view.sort.column)

    def action_tree(self) -> None:
        self._change(replace(self._view, folds=Folds() if self._view.folds is None else None), top=True)

    def action_fold_all(self) -> None:
        folds = self._view.folds
        self._change(replace(self._view, folds=Folds(folds is None or not folds.open)), top=True)

    def action_mark_all(self) -> None:
        self._mark(lambda: read_ids(self._feed.database, self._view.where), self._table.mark)

    def action_invert(self) -> None:
        self._mark(
            lambda: read_ids(self._feed.database, self._view.where),
            lambda ids: self._table.set_marks(set(ids) ^ self._table.marked),
        )

    def on_job_table_marking(self, message: JobTable.Marking) -> None:
        self._mark(partial(self._ids_of, message, self._view), self._table.mark)

    def _ids_of(self, wanted: JobTable.Marking, view: QueueView) -> Sequence[int]:
        if wanted.experiment_id is not None:
            return read_ids(self._feed.database, view.where, experiment_id=wanted.experiment_id)
        lines = read_queue(
            self._feed.database, Pace(), view, wanted.first, wanted.last - wanted.first + 1
        ).rows
        return [row.id for row in lines if isinstance(row, JobRow)]

    @work(thread=True, group="marks", exit_on_error=False)
    def _mark(self, read: Callable[[], Sequence[int]], then: Callable[[Sequence[int]], None]) -> None:
        self.post_message(self.Found(Chosen(read(), None, 0), lambda chosen: then(chosen.ids)))

    def action_filter(self) -> None:
        self.query_one(FilterBox).open()

    def action_clear(self) -> None:
        self.query_one(FilterBox).close("")
        self._table.set_marks(())
        self._table.focus()
        self._change(self._view.filtered(""), top=bool(self._view.text))

    def on_filter_box_typed(self, message: FilterBox.Typed) -> None:
        view = self._view.filtered(message.text)
        if view != self._view or message.done:
            self._change(view, top=view.where != self._view.where, keep=message.done)
        if message.done:
            self.query_one(FilterBox).close(message.text)
            self._table.focus()

    def _change(self, view: QueueView, *, top: bool = False, keep: bool = True) -> None:
        """Another view of the jobs, kept for the next time unless somebody is still typing it."""
        self._view = view
        if keep:
            queue_view.leave(self._state, view)
        if top:
            self._offset = 0
            self._table.forget_place()
        self._watch()
        self._show_summary()
