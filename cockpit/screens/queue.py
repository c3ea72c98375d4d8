"""Home: every job of every experiment, live."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from cockpit.feed import Feed
from cockpit.figures import Pace, clock, span
from cockpit.keymap import named
from cockpit.messages import ChooseRecipe, Compare, OpenJob, QueueRead
from cockpit.plain_text import plain_line
from cockpit.reads import read_queue
from cockpit.screens import job_wishes
from cockpit.widgets.banner import Banner
from cockpit.widgets.job_columns import state_of
from cockpit.widgets.job_table import WINDOW_ROWS, JobTable
from cockpit.widgets.slot_bar import SlotBar
from store.queue import JobRow, Order

ORDERS: tuple[Order, ...] = ("activity", "newest", "oldest")

_EMPTY = """\
No jobs yet.

  n  chooses a recipe and queues its jobs
  ?  shows every key

From a shell:  tunedeck submit RECIPE.yaml"""


class QueueScreen(Screen[None]):
    """The table of jobs, a line about the one under the cursor, and wishes by key."""

    CSS_PATH = "queue.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "queue",
        Binding("c", "cancel", "Cancel", tooltip="Cancel the job; one that runs stops at a checkpoint"),
        Binding("r", "retry", "Retry", tooltip="Queue an ended job again; it goes on from its last checkpoint"),
        Binding("h", "hold", "Hold", tooltip="Hold a waiting job back, or release it"),
        Binding("plus,equals_sign", "priority(1)", "Sooner", show=False, key_display="+", tooltip="Raise the priority of a waiting job"),
        Binding("minus", "priority(-1)", "Later", show=False, key_display="-", tooltip="Lower the priority of a waiting job"),
        Binding("v,C", "compare", "Compare", tooltip="Compare the marked jobs, or all scored jobs of the experiment"),
        Binding("n", "new", "New", tooltip="Choose a recipe and queue its jobs"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Show jobs with these words; !word leaves jobs out"),
        Binding("o", "order", "Order", show=False, tooltip="Order by activity, newest or oldest first"),
        Binding("escape", "clear", "Clear filter and marks", show=False),
    )  # fmt: skip

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed
        self._pace = Pace()
        self._words: tuple[str, ...] = ()
        self._order: Order = ORDERS[0]
        self._offset = 0

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield JobTable(id="job-table")
        yield Static("", id="empty", markup=False)
        yield Input(placeholder="words to look for, e.g.  failed sft !eval", id="filter", compact=True)
        yield Static("", id="detail", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#filter").display = False
        self.query_one("#empty").display = False
        self._table.focus()

    def on_screen_resume(self) -> None:
        self._watch()

    def on_screen_suspend(self) -> None:
        self._feed.unwatch(self)

    def on_queue_read(self, read: QueueRead) -> None:
        self._table.show(read)
        empty = self.query_one("#empty", Static)
        empty.display = read.count == 0
        self._table.display = read.count > 0
        if read.count == 0:
            words = " ".join(self._words)
            text = f"No job matches `{words}`.\n\n  esc  clears the filter" if words else _EMPTY
            empty.update(Content(text))

    @property
    def _table(self) -> JobTable:
        return self.query_one(JobTable)

    def _watch(self) -> None:
        read = partial(
            read_queue,
            pace=self._pace,
            words=self._words,
            order=self._order,
            offset=self._offset,
            limit=WINDOW_ROWS,
        )
        self._feed.watch(self, read)

    def on_job_table_window_moved(self, message: JobTable.WindowMoved) -> None:
        self._offset = message.offset
        self._watch()

    def on_job_table_opened(self, message: JobTable.Opened) -> None:
        row = message.row
        self.post_message(OpenJob(row.id, is_evaluated=row.accuracy is not None and row.loss is None))

    def on_job_table_highlighted(self, message: JobTable.Highlighted) -> None:
        detail = self.query_one("#detail", Static)
        content = _detail(message.row, len(self._table.marked)) if message.row else Content("")
        if detail.content != content:
            detail.update(content)

    def action_cancel(self) -> None:
        if row := self._table.current:
            job_wishes.cancel(self, row)

    def action_retry(self) -> None:
        if row := self._table.current:
            job_wishes.retry(self, row)

    def action_hold(self) -> None:
        if row := self._table.current:
            job_wishes.hold_or_release(self, row)

    def action_priority(self, by: int) -> None:
        if row := self._table.current:
            job_wishes.change_priority(self, row, by)

    def action_compare(self) -> None:
        marked = sorted(self._table.marked)
        if not marked and (row := self._table.current):
            marked = [row.id]
        if marked:
            self.post_message(Compare(marked))

    def action_new(self) -> None:
        self.post_message(ChooseRecipe())

    def action_order(self) -> None:
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self.notify(f"Order: {self._order}", timeout=2)
        self._restart()

    def action_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.display = True
        box.focus()

    def action_clear(self) -> None:
        box = self.query_one("#filter", Input)
        box.display = False
        self._table.marked.clear()
        self._table.refresh()
        self._table.focus()
        box.value = ""

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        words = tuple(word for word in event.value.split() if word != "!")
        if words != self._words:
            self._words = words
            self._restart()

    @on(Input.Submitted, "#filter")
    def _filter_submitted(self, event: Input.Submitted) -> None:
        event.input.display = bool(event.value)
        self._table.focus()

    def _restart(self) -> None:
        self._offset = 0
        self._table.forget_place()
        self._watch()


def _detail(row: JobRow, marked: int) -> Content:
    """Two lines about a job: what it is, and why it is as it is."""
    facts = [
        f"#{row.id}",
        f"{plain_line(row.experiment, 60)}: {plain_line(row.name, 200)}",
        row.engine,
        state_of(row),
    ]
    if row.attempt > 1:
        facts.append(f"attempt {row.attempt}")
    if row.started_at:
        facts.append(f"started {clock(row.started_at)}")
    if row.started_at and row.ended_at:
        facts.append(f"took {span(row.ended_at - row.started_at)}")
    if row.priority:
        facts.append(f"priority {row.priority}")
    why = plain_line(row.reason or "", 400)
    marks = f"◆ {marked} marked, v compares   " if marked else ""
    return Content.assemble(("  ".join(facts), ""), "\n", (marks, "$warning"), (why, "$foreground 60%"))
