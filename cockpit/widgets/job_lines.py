"""A window of the queue as lines: only it is held, and only the cells that changed are drawn again."""

from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.forecast import Forecast, Span
from cockpit.messages import QueueRead
from cockpit.widgets.cells import Cell, changed_span, to_strip
from cockpit.widgets.job_columns import Beside, Column, columns_for, header_cells, row_cells
from store.queue import JobRow, Sort
from store.tree import ExperimentRow, TreeRow

WINDOW_ROWS = 300
"""How many rows are read at once; the visible ones are in the middle."""


class JobLines(ScrollView):
    """Rows by number in the whole table; those outside the window that was read are blank until it moves."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"job-table--{name}"
        for name in (
            "header",
            "cursor",
            "strong",
            "faint",
            "running",
            "succeeded",
            "failed",
            "attention",
            "figure",
        )
    }

    cursor = reactive(0, repaint=False)

    @dataclass
    class WindowMoved(Message):
        """The table needs other rows."""

        offset: int

    @dataclass
    class Highlighted(Message):
        """The cursor stands on another job, or the job changed."""

        row: TreeRow | None

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.count = 0
        self.marked: set[int] = set()
        self._offset = 0
        self.sort = Sort()
        self.in_tree = False
        self._rows: list[TreeRow] = []
        self._starts: dict[int, Span] = {}
        self._ends: dict[int, float] = {}
        self._seconds_left: dict[int, float] = {}
        self._columns: list[Column] = []
        self._drawn: dict[int, list[Cell]] = {}
        self._cursor_id: int | None = None

    @property
    def current(self) -> TreeRow | None:
        return self._row(self.cursor)

    def show(self, read: QueueRead) -> None:
        """A new window. The cursor stays on its job where that is still in sight."""
        self.count, self._offset, self._rows = read.count, read.offset, read.rows
        self._seconds_left = read.seconds_left
        size = Size(0, read.count + 1)
        if self.virtual_size != size:
            self.virtual_size = size
        places = {row.key: self._offset + index for index, row in enumerate(self._rows)}
        place = places.get(self._cursor_id) if self._cursor_id is not None else None
        self.cursor = min(self.cursor if place is None else place, max(self.count - 1, 0))
        self._moved_to(self.cursor)
        self._refresh_changed()

    def expect(self, forecast: Forecast) -> None:
        """What the lines show of the future."""
        self._starts = dict(forecast.starts)
        self._ends = {experiment: span.likely - forecast.at for experiment, span in forecast.ends}
        self._refresh_changed()
        self.post_message(self.Highlighted(self.current))

    def start_of(self, row: JobRow) -> Span | None:
        return self._starts.get(row.id)

    def forget_place(self) -> None:
        """Another filter or order: start at the top."""
        self._cursor_id, self.cursor = None, 0
        self.scroll_to(y=0, animate=False)

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
            self._scroll(place)
        elif place >= top + visible:
            self._scroll(place - visible + 1)
        self._refresh_rows(old, place)

    def _scroll(self, y: int) -> None:
        # At once, and also before the first layout has found out that there is something to scroll.
        self.scroll_to(y=y, animate=False, force=True, immediate=True)

    def _moved_to(self, place: int) -> None:
        row = self._row(place)
        self._cursor_id = row.key if row else None
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

    def _row(self, place: int) -> TreeRow | None:
        index = place - self._offset
        return self._rows[index] if 0 <= index < len(self._rows) else None

    def _cells(self, y: int) -> list[Cell]:
        if y == 0:
            return header_cells(self._columns, self.sort) if self.count else []
        place = self.scroll_offset.y + y - 1
        row = self._row(place)
        if row is None:
            return []
        # The uppermost line always names its experiment.
        return row_cells(row, self._columns, self._beside(row, self._row(place - 1) if y > 1 else None))

    def _beside(self, row: TreeRow, above: TreeRow | None) -> Beside:
        if isinstance(row, ExperimentRow):
            return Beside(self._ends.get(row.id) if row.active or row.waiting else None)
        start = self._starts.get(row.id)
        return Beside(
            self._seconds_left.get(row.id),
            start.likely if start else None,
            row.id in self.marked,
            self.in_tree,
            isinstance(above, JobRow) and above.experiment_id == row.experiment_id,
        )

    def _style_of(self, paint: str) -> Style:
        return self.get_component_rich_style(f"job-table--{paint}") if paint else self.visual_style.rich_style

    def _cursor_style(self, paint: str) -> Style:
        # The cursor's background wins; the colour of a state stays visible where it has one.
        cursor = self.get_component_rich_style("job-table--cursor")
        return cursor + Style(bold=True) if not paint else self._style_of(paint) + cursor
