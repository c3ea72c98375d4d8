"""The queue as a table that holds only a window of rows and redraws only the cells that changed."""

from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.keymap import named
from cockpit.messages import QueueRead
from cockpit.widgets.cells import Cell, changed_span, to_strip
from cockpit.widgets.job_columns import Column, columns_for, header_cells, row_cells
from store.queue import JobRow

WINDOW_ROWS = 300
"""How many rows are read at once; the visible ones are in the middle."""


class JobTable(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows by number in the whole table; those outside the window that was read are blank until it moves."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"job-table--{name}"
        for name in ("header", "cursor", "faint", "running", "succeeded", "failed", "attention", "figure")
    }

    BINDINGS: ClassVar[list[BindingType]] = named(
        "jobs",
        Binding("enter", "open", "Open", key_display="enter"),
        Binding("space", "mark", "Mark", show=False, tooltip="Mark the job for comparing"),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False),
        Binding("home,g", "go(0)", "First job", show=False),
        Binding("end,G", "go(-1)", "Last job", show=False),
    )

    cursor = reactive(0, repaint=False)

    @dataclass
    class WindowMoved(Message):
        """The table needs other rows."""

        offset: int

    @dataclass
    class Opened(Message):
        row: JobRow

    @dataclass
    class Highlighted(Message):
        """The cursor stands on another job, or the job changed."""

        row: JobRow | None

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.count = 0
        self.marked: set[int] = set()
        self._offset = 0
        self._rows: list[JobRow] = []
        self._seconds_left: dict[int, float] = {}
        self._columns: list[Column] = []
        self._drawn: dict[int, list[Cell]] = {}
        self._cursor_id: int | None = None

    @property
    def current(self) -> JobRow | None:
        return self._row(self.cursor)

    def show(self, read: QueueRead) -> None:
        """A new window. The cursor stays on its job where that is still in sight."""
        self.count, self._offset, self._rows = read.count, read.offset, read.rows
        self._seconds_left = read.seconds_left
        size = Size(0, read.count + 1)
        if self.virtual_size != size:
            self.virtual_size = size
        places = {row.id: self._offset + index for index, row in enumerate(self._rows)}
        place = places.get(self._cursor_id) if self._cursor_id is not None else None
        self.cursor = min(self.cursor if place is None else place, max(self.count - 1, 0))
        self._moved_to(self.cursor)
        self._refresh_changed()

    def forget_place(self) -> None:
        """Another filter or order: start at the top."""
        self._cursor_id, self.cursor = None, 0
        self.scroll_to(y=0, animate=False)

    def action_open(self) -> None:
        if row := self.current:
            self.post_message(self.Opened(row))

    def action_mark(self) -> None:
        if row := self.current:
            self.marked ^= {row.id}
            self._refresh_changed()
            self.action_move(1)

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

    def on_resize(self) -> None:
        self._columns = columns_for(self.size.width)
        self._drawn.clear()
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._drawn.clear()
        top = round(new_value)
        missing_above = top < self._offset
        missing_below = top + self.size.height > self._offset + len(self._rows)
        if (missing_above or missing_below) and len(self._rows) < self.count:
            self.post_message(self.WindowMoved(max(top - WINDOW_ROWS // 3, 0)))

    def render_line(self, y: int) -> Strip:
        cells = self._cells(y)
        self._drawn[y] = cells
        under_cursor = y > 0 and self.scroll_offset.y + y - 1 == self.cursor and self.count > 0
        return to_strip(cells, self.size.width, self._cursor_style if under_cursor else self._style_of)

    def _go(self, place: int) -> None:
        old, place = self.cursor, min(max(place, 0), max(self.count - 1, 0))
        self.cursor = place
        self._moved_to(place)
        top, visible = self.scroll_offset.y, max(self.size.height - 1, 1)
        if place < top:
            self.scroll_to(y=place, animate=False)
        elif place >= top + visible:
            self.scroll_to(y=place - visible + 1, animate=False)
        self._refresh_rows(old, place)

    def _moved_to(self, place: int) -> None:
        row = self._row(place)
        self._cursor_id = row.id if row else None
        self.post_message(self.Highlighted(row))

    def _refresh_rows(self, *places: int) -> None:
        lines = {place - self.scroll_offset.y + 1 for place in places}
        self.refresh(*(Region(0, y, self.size.width, 1) for y in lines if 0 < y < self.size.height))

    def _refresh_changed(self) -> None:
        """Marks as dirty what differs from the lines that were drawn last."""
        regions = []
        for y in range(self.size.height):
            if y not in self._drawn:
                regions.append(Region(0, y, self.size.width, 1))
            elif span := changed_span(self._drawn[y], self._cells(y)):
                regions.append(Region(span[0], y, span[1] - span[0], 1))
        if regions:
            self.refresh(*regions)

    def _row(self, place: int) -> JobRow | None:
        index = place - self._offset
        return self._rows[index] if 0 <= index < len(self._rows) else None

    def _cells(self, y: int) -> list[Cell]:
        if y == 0:
            return header_cells(self._columns) if self.count else []
        row = self._row(self.scroll_offset.y + y - 1)
        if row is None:
            return []
        return row_cells(row, self._columns, self._seconds_left.get(row.id), row.id in self.marked)

    def _style_of(self, paint: str) -> Style:
        return self.get_component_rich_style(f"job-table--{paint}") if paint else self.visual_style.rich_style

    def _cursor_style(self, paint: str) -> Style:
        # The cursor's background wins; the colour of a state stays visible where it has one.
        cursor = self.get_component_rich_style("job-table--cursor")
        return cursor + Style(bold=True) if not paint else self._style_of(paint) + cursor
