"""A short list of painted rows with a cursor, under a header that stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.keymap import named
from cockpit.widgets.cells import to_strip
from cockpit.widgets.text_view import Line


class RowList(ScrollView, can_focus=True, inherit_bindings=False):
    """Rows are given whole; which one is meant is told by its number."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"row-list--{paint}" for paint in ("muted", "strong", "good", "bad", "attention", "accent", "cursor")
    }

    BINDINGS: ClassVar[list[BindingType]] = named(
        "rows",
        Binding("enter", "choose", "Open", key_display="enter"),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("home,g", "move(-1000000)", "First", show=False),
        Binding("end,G", "move(1000000)", "Last", show=False),
    )

    @dataclass
    class Moved(Message):
        place: int

    @dataclass
    class Chosen(Message):
        place: int

    def __init__(self, *, id: str | None = None, opens: bool = True) -> None:
        """`opens` is whether something comes of a row that is chosen: without, no key is offered for it."""
        super().__init__(id=id)
        self._opens = opens
        self.cursor = 0
        self._header: Line = []
        self._rows: list[Line] = []

    def show(self, header: Line, rows: Sequence[Line]) -> None:
        if header == self._header and list(rows) == self._rows:
            return
        self._header, self._rows = header, list(rows)
        self.cursor = min(self.cursor, max(len(rows) - 1, 0))
        self.virtual_size = Size(0, len(rows) + 1)
        self.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "choose" or self._opens

    def action_move(self, by: int) -> None:
        self._go(self.cursor + by)

    def action_choose(self) -> None:
        if self._rows and self._opens:
            self.post_message(self.Chosen(self.cursor))

    def on_click(self, event: events.Click) -> None:
        if event.y >= 1:
            self._go(self.scroll_offset.y + event.y - 1)
            if event.chain == 2:
                self.action_choose()

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return to_strip(self._header, self.size.width, self._style_of)
        place = self.scroll_offset.y + y - 1
        cells: Line = self._rows[place] if place < len(self._rows) else []
        under_cursor = place == self.cursor and bool(self._rows)
        return to_strip(cells, self.size.width, self._cursor_style if under_cursor else self._style_of)

    def _go(self, place: int) -> None:
        self.cursor = min(max(place, 0), max(len(self._rows) - 1, 0))
        top, visible = self.scroll_offset.y, max(self.size.height - 1, 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + visible:
            self.scroll_to(y=self.cursor - visible + 1, animate=False)
        self.refresh()
        self.post_message(self.Moved(self.cursor))

    def _style_of(self, paint: str) -> Style:
        return self.get_component_rich_style(f"row-list--{paint}") if paint else self.visual_style.rich_style

    def _cursor_style(self, paint: str) -> Style:
        cursor = self.get_component_rich_style("row-list--cursor")
        return self._style_of(paint) + Style(bgcolor=cursor.bgcolor, reverse=cursor.reverse)
