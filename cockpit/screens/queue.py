"""Home: every job of every experiment, live."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from cockpit import bulk, queue_view
from cockpit.bulk import Act
from cockpit.feed import Feed
from cockpit.figures import Pace
from cockpit.forecast import Forecast
from cockpit.keymap import named
from cockpit.messages import ChooseRecipe, Compare, ExportJobs, GradeAgain, OpenGroups, OpenJob, QueueRead
from cockpit.queue_view import QueueView
from cockpit.reads import read_forecast, read_queue, read_wait
from cockpit.screens import queue_wishes
from cockpit.screens.asking import PickScreen
from cockpit.screens.panel import PanelScreen
from cockpit.screens.queue_text import EMPTY, FILTER_HELP, detail
from cockpit.screens.queue_wishes import Chosen, Reported
from cockpit.view_state import ViewState
from cockpit.widgets.banner import Banner
from cockpit.widgets.job_table import WINDOW_ROWS, JobTable
from cockpit.widgets.lanes import LanesView
from cockpit.widgets.queue_summary import QueueSummary
from cockpit.widgets.slot_bar import SlotBar
from store import reorder, wishes
from store.filter_language import FilterError
from store.queue import SORTS, JobRow, Sort, count_active, read_ids
from store.schema import WAITING
from store.tree import Folds

_CANCEL = "Cancel the job; one that runs stops at a checkpoint"
_RETRY = "Queue an ended job again; it goes on from its last checkpoint"
_HOLD = "Hold a waiting job back, or release it"


class QueueScreen(Screen[None]):
    """The table of jobs, a line about the one under the cursor, and wishes by key."""

    CSS_PATH = "queue.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "queue",
        Binding("c", "cancel", "Cancel", tooltip=_CANCEL),
        Binding("u", "undo", "Undo", show=False, tooltip="Take back the last cancel of waiting jobs"),
        Binding("r", "retry", "Retry", tooltip=_RETRY),
        Binding("h", "hold", "Hold", tooltip=_HOLD),
        Binding("H", "release", "Release", show=False, tooltip="Let the held job, or all marked ones, start"),
        Binding("plus,equals_sign", "priority(1)", "Sooner", show=False, key_display="+", tooltip="Raise the priority of waiting jobs"),
        Binding("minus", "priority(-1)", "Later", show=False, key_display="-", tooltip="Lower the priority of waiting jobs"),
        Binding("asterisk", "set_priority", "Priority", show=False, key_display="*", tooltip="Give waiting jobs a priority"),
        Binding("K", "move('up')", "Move up", show=False, tooltip="Let a waiting job start before the one above it"),
        Binding("J", "move('down')", "Move down", show=False, tooltip="Let a waiting job start after the one below it"),
        Binding("T", "move('top')", "Move to the top", show=False, tooltip="Let a waiting job start before all others"),
        Binding("E", "move('end')", "Move to the end", show=False, tooltip="Let a waiting job start after all others"),
        Binding("w", "why", "Why", tooltip="Say why a job is waiting"),
        Binding("v,C", "compare", "Compare", tooltip="Compare the marked jobs, or all scored jobs of the experiment"),
        Binding("X", "export", "Export", show=False, tooltip="Write the metrics of the jobs to a directory"),
        Binding("a", "grade_again", "Grade again", show=False, tooltip="Grade stored completions with the current graders"),
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

    @dataclass
    class Found(Message):
        """Jobs that were looked up off the UI, and what to do with them."""

        chosen: Chosen
        then: Callable[[Chosen], None]

    def __init__(self, feed: Feed, state: ViewState) -> None:
        super().__init__()
        self._feed, self._state = feed, state
        self._pace = Pace()
        self._view = queue_view.restore(state)
        self._jobs = 0
        self._offset = 0
        self._forecast = Forecast()
        self._undoable: Sequence[int] = ()

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield LanesView(self._feed)
        yield QueueSummary()
        yield JobTable(id="job-table")
        yield Static("", id="empty", markup=False)
        yield Static(Content(FILTER_HELP), id="filter-says")
        yield Input(self._view.text, placeholder="e.g.  failed sft !eval", id="filter", compact=True)
        yield Static("", id="detail", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        for name in ("#filter", "#filter-says", "#empty"):
            self.query_one(name).display = False
        self._table.focus()

    def on_screen_resume(self) -> None:
        self._watch()
        self._feed.watch(self.query_one(QueueSummary), read_forecast)
        self.query_one(LanesView).watch_feed()

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

    @property
    def _table(self) -> JobTable:
        return self.query_one(JobTable)

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

    def on_job_table_window_moved(self, message: JobTable.WindowMoved) -> None:
        self._offset = message.offset
        self._watch()

    def on_job_table_opened(self, message: JobTable.Opened) -> None:
        row = message.row
        self.post_message(OpenJob(row.id, is_evaluated=row.accuracy is not None and row.loss is None))

    def on_job_table_highlighted(self, message: JobTable.Highlighted) -> None:
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

    # What the keys are for: the marked jobs, those of the experiment under the cursor, or the job there.

    def _with_chosen(self, then: Callable[[Chosen], None]) -> None:
        row, marked = self._table.current, sorted(self._table.marked)
        if not marked and isinstance(row, JobRow):
            then(Chosen([row.id], row, 0))
        elif marked or row:
            self._look_up(marked, None if marked or row is None else row.id, then)

    @work(thread=True, group="chosen", exit_on_error=False)
    def _look_up(self, ids: Sequence[int], experiment_id: int | None, then: Callable[[Chosen], None]) -> None:
        database = self._feed.database
        if experiment_id is not None:
            ids = read_ids(database, self._view.where, experiment_id=experiment_id)
        self.post_message(self.Found(Chosen(ids, None, count_active(database, ids)), then))

    def on_queue_screen_found(self, message: Found) -> None:
        message.then(message.chosen)

    def _each(self, act: Act, verb: str, question: str) -> None:
        self._with_chosen(lambda chosen: queue_wishes.each(self, chosen, act, verb, question))

    def action_cancel(self) -> None:
        self._with_chosen(partial(queue_wishes.cancel, self))

    def action_retry(self) -> None:
        self._each(wishes.retry, "queued again", "Retry")

    def action_hold(self) -> None:
        row = self._table.current
        held = not (isinstance(row, JobRow) and not self._table.marked and row.held)
        self._each(bulk.hold(held), "held" if held else "released", "Hold")

    def action_release(self) -> None:
        self._each(bulk.hold(False), "released", "Release")

    def action_priority(self, by: int) -> None:
        self._each(
            bulk.change_priority(by), "raised" if by > 0 else "lowered", "Raise" if by > 0 else "Lower"
        )

    def action_set_priority(self) -> None:
        self._with_chosen(partial(queue_wishes.ask_priority, self))

    def action_undo(self) -> None:
        if self._undoable:
            queue_wishes.wish(self, self._undoable, wishes.undo_cancel, "waiting again")
            self._undoable = ()
        elif isinstance(row := self._table.current, JobRow):
            queue_wishes.wish(self, [row.id], wishes.undo_cancel, "waiting again")

    def action_move(self, where: reorder.Where) -> None:
        if isinstance(row := self._table.current, JobRow):
            queue_wishes.move(self, row, where)

    def action_why(self) -> None:
        if isinstance(row := self._table.current, JobRow):
            read = partial(read_wait, job_id=row.id)
            self.app.push_screen(PanelScreen(f"Job {row.id}", feed=self._feed, read=read))

    def on_reported(self, message: Reported) -> None:
        if message.undoable:
            self._undoable = message.undoable
        if message.report.refused:
            self.app.push_screen(PanelScreen("What was refused", queue_wishes.refusals(message.report)))

    def action_compare(self) -> None:
        self._with_chosen(lambda chosen: self._post(Compare(list(chosen.ids))))

    def action_export(self) -> None:
        self._with_chosen(lambda chosen: self._post(ExportJobs(list(chosen.ids))))

    def action_grade_again(self) -> None:
        self._with_chosen(lambda chosen: self._post(GradeAgain(list(chosen.ids))))

    def _post(self, message: Message) -> None:
        self.post_message(message)

    def action_groups(self) -> None:
        self.post_message(OpenGroups())

    def action_new(self) -> None:
        self.post_message(ChooseRecipe())

    # How the jobs are looked at.

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
        box = self.query_one("#filter", Input)
        box.display = self.query_one("#filter-says").display = True
        box.focus()

    def action_clear(self) -> None:
        for name in ("#filter", "#filter-says"):
            self.query_one(name).display = False
        self._table.set_marks(())
        self._table.focus()
        self.query_one("#filter", Input).value = ""
        self._change(self._view.filtered(""), top=bool(self._view.text))

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        try:
            view = self._view.filtered(event.value)
        except FilterError as error:
            # The jobs stay those of the last filter that could be understood.
            self._say(Content.assemble((f"✗ {error.text}", "$error"), "\n", (error.hint, "$foreground 60%")))
            return
        self._say(Content(FILTER_HELP))
        if view != self._view:
            self._change(view, top=view.where != self._view.where, keep=False)

    def _say(self, content: Content) -> None:
        said = self.query_one("#filter-says", Static)
        if said.content != content:
            said.update(content)

    @on(Input.Submitted, "#filter")
    def _filter_submitted(self, event: Input.Submitted) -> None:
        if event.value != self._view.text:
            return  # what is wrong with it is still said
        event.input.display = self.query_one("#filter-says").display = False
        queue_view.leave(self._state, self._view)
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
