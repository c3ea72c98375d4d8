"""Keys that wish something of jobs: of the marked ones, of those of the experiment under the cursor, or of the job there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from cockpit import bulk
from cockpit.asked import Compare, WithResults
from cockpit.bulk import Act
from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.queue_view import QueueView
from cockpit.reads import read_wait
from cockpit.screens import queue_wishes
from cockpit.screens.panel import PanelScreen
from cockpit.screens.queue_wishes import Chosen, Reported
from cockpit.widgets.job_table import JobTable
from store import reorder, wishes
from store.queue import JobRow, count_active, read_ids

_CANCEL = "Cancel the job; one that runs stops at a checkpoint"
_RETRY = "Queue an ended job again; it goes on from its last checkpoint"
_HOLD = "Hold a waiting job back, or release it"


class WishKeys(Screen[None]):
    """A screen with a table of jobs."""

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
        Binding("p", "report", "Report", show=False, tooltip="Show what the experiment has shown: accuracy against budget, verdicts"),
        Binding("X", "export", "Export", show=False, tooltip="Write the metrics of the jobs to a directory"),
        Binding("a", "grade_again", "Grade again", show=False, tooltip="Grade stored completions with the current graders"),
    )  # fmt: skip

    @dataclass
    class Found(Message):
        """Jobs that were looked up off the UI, and what to do with them."""

        chosen: Chosen
        then: Callable[[Chosen], None]

    def __init__(self, feed: Feed, view: QueueView) -> None:
        super().__init__()
        self._feed, self._view = feed, view
        self._undoable: Sequence[int] = ()

    @property
    def _table(self) -> JobTable:
        return self.query_one(JobTable)

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

    def on_wish_keys_found(self, message: Found) -> None:
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

    def action_report(self) -> None:
        self._with_chosen(lambda chosen: self._post(WithResults("report", list(chosen.ids))))

    def action_export(self) -> None:
        self._with_chosen(lambda chosen: self._post(WithResults("export", list(chosen.ids))))

    def action_grade_again(self) -> None:
        self._with_chosen(lambda chosen: self._post(WithResults("grade again", list(chosen.ids))))

    def _post(self, message: Message) -> None:
        self.post_message(message)
