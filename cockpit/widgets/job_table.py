"""The queue as a table: its keys, marks and folds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from cockpit.keymap import named
from cockpit.widgets.job_columns import Column
from cockpit.widgets.job_lines import JobLines
from store.queue import JobRow
from store.tree import ExperimentRow


class JobTable(JobLines, can_focus=True, inherit_bindings=False):
    """What people do to the lines; what that means, the screen around it knows."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "jobs",
        Binding("enter", "open", "Open", key_display="enter"),
        Binding(
            "space", "mark", "Mark", show=False, tooltip="Mark the job; of an experiment, all of its jobs"
        ),
        Binding("R", "mark_range", "Mark range", show=False, tooltip="Mark from the last mark to here"),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False),
        Binding("left", "fold(False)", "Fold", show=False, tooltip="Hide the jobs of an experiment"),
        Binding("right", "fold(True)", "Unfold", show=False, tooltip="Show the jobs of an experiment"),
        Binding("home,g", "go(0)", "First job", show=False),
        Binding("end,G", "go(-1)", "Last job", show=False),
    )

    @dataclass
    class Opened(Message):
        row: JobRow

    @dataclass
    class Folded(Message):
        """An experiment is to show its jobs, or to hide them."""

        experiment_id: int

    @dataclass
    class Marking(Message):
        """Marks that take more than what is in the window: an experiment's jobs, or those from a line to another."""

        experiment_id: int | None = None
        first: int = 0
        last: int = 0

    @dataclass
    class SortChosen(Message):
        """The title of a column was clicked."""

        column: str

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._anchor: int | None = None

    def mark(self, ids: Iterable[int]) -> None:
        """Marks jobs beside those that are; those that all are marked lose their marks."""
        chosen = set(ids)
        self.marked = self.marked - chosen if chosen <= self.marked else self.marked | chosen
        self._marks_changed()

    def set_marks(self, ids: Iterable[int]) -> None:
        self.marked = set(ids)
        self._marks_changed()

    def _marks_changed(self) -> None:
        self._refresh_changed()
        self.post_message(self.Highlighted(self.current))

    def action_open(self) -> None:
        row = self.current
        if isinstance(row, JobRow):
            self.post_message(self.Opened(row))
        elif row:
            self.post_message(self.Folded(row.id))

    def action_fold(self, open_: bool) -> None:
        """On a job, to the left means: to its experiment, and fold that."""
        row = self.current
        if isinstance(row, ExperimentRow) and row.is_open != open_:
            self.post_message(self.Folded(row.id))
        elif isinstance(row, JobRow) and not open_ and self.in_tree:
            place = next((i for i, one in enumerate(self._rows) if one.key == -row.experiment_id), None)
            if place is not None:
                self._go(self._offset + place)

    def action_mark(self) -> None:
        row = self.current
        if isinstance(row, JobRow):
            self._anchor = self.cursor
            self.marked ^= {row.id}
            self._refresh_changed()
            self.action_move(1)
        elif row:
            self.post_message(self.Marking(row.id))

    def action_mark_range(self) -> None:
        anchor = self.cursor if self._anchor is None else self._anchor
        self.post_message(self.Marking(None, min(anchor, self.cursor), max(anchor, self.cursor)))

    def action_move(self, by: int) -> None:
        self._go(self.cursor + by)

    def action_page(self, by: int) -> None:
        self._go(self.cursor + by * max(self.size.height - 2, 1))

    def action_go(self, place: int) -> None:
        self._go(place if place >= 0 else self.count - 1)

    def on_click(self, event: events.Click) -> None:
        if event.y >= 1:
            self._go(self.scroll_offset.y + event.y - 1)
            if event.chain == 2:
                self.action_open()
        elif column := self._column_at(event.x):
            self.post_message(self.SortChosen(column.key))

    def _column_at(self, x: int) -> Column | None:
        end = 0
        for column in self._columns:
            end += column.width + 1
            if x < end:
                return column
        return None
