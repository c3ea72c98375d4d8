"""A worker's log of any size. It follows new lines as long as the last one is in sight."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import clamp
from textual.strip import Strip
from textual.widget import Widget

from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.log_windows import LogLine
from cockpit.messages import LogRead
from cockpit.reads import file_stamp, read_log
from cockpit.widgets.cells import Cell, changed_regions, fit, to_strip

_PAINTS = (
    (re.compile(r"\b(?:ERROR|CRITICAL|Traceback|[A-Z]\w*Error|error:)"), "bad"),
    (re.compile(r"\b(?:WARNING|WARN|[A-Z]\w*Warning|warning:)"), "attention"),
    (re.compile(r"\bDEBUG\b"), "muted"),
)
_MARGIN = 60
"""Lines that are left above or below when more of the log is read."""


class LogView(Widget, can_focus=True):
    """Shows the lines of a window around its top line; the last row says where in the log that is."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"log-view--{paint}" for paint in ("muted", "bad", "attention", "found", "status")
    }
    BINDINGS: ClassVar[list[BindingType]] = named(
        "log",
        Binding("up,k", "scroll_rows(-1)", "Up", show=False),
        Binding("down,j", "scroll_rows(1)", "Down", show=False),
        Binding("pageup,ctrl+u", "scroll_page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+d,space", "scroll_page(1)", "Page down", show=False),
        Binding("home,g", "go_to(0)", "Top", show=False),
        Binding("end,G,f", "go_to(-1)", "Follow", show=False, tooltip="Go to the end and follow it"),
        Binding("w", "wrap", "Wrap", tooltip="Break long lines, or cut them"),
        Binding("less_than_sign", "shift(-1)", "Shift left", show=False, key_display="<", tooltip="Show more of the beginning of cut lines"),
        Binding("greater_than_sign", "shift(1)", "Shift right", show=False, key_display=">", tooltip="Show more of the end of cut lines"),
    )  # fmt: skip

    def __init__(self, feed: Feed, path: Path, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._feed, self._path = feed, path
        self._lines: Sequence[LogLine] = []
        self._bytes: int | None = None
        self._rows: list[tuple[int, str]] = []
        """What the window's lines look like at this width: the number of the line, and a piece of it."""
        self._first = 0
        self._place: int | None = None
        """The offset around which the window lies; None follows the end."""
        self._jumped = False
        """The next window is to be shown from its place on, not from what was on top."""
        self._wraps, self._shift = True, 0
        self._drawn: list[list[Cell]] = []
        self.pattern: Any = None
        """What stands out in the lines."""
        self.note = ""
        """What the status line says beside the place."""

    def watch_feed(self) -> None:
        read = partial(_read, path=self._path, place=self._place)
        self._feed.watch(self, read, file_stamp(self._path))

    def unwatch_feed(self) -> None:
        self._feed.unwatch(self)

    def on_unmount(self) -> None:
        self._feed.unwatch(self)

    def on_resize(self) -> None:
        self._drawn = []
        self._lay_out(self.top)

    @property
    def top(self) -> int:
        """The offset of the first line that is shown."""
        return self._line_at(self._first).start if self._rows else 0

    @property
    def follows(self) -> bool:
        return self._place is None

    def on_log_read(self, read: LogRead) -> None:
        if read.place != self._place:
            return  # asked for before the person went elsewhere
        top, row = (self._place or 0, 0) if self._jumped else (self.top, self._row_in_line)
        self._jumped = False
        self._lines, self._bytes = read.lines, read.size
        self._lay_out(top, row)

    def jump(self, place: int) -> None:
        """Shows the line that holds this byte at the top; the end, and what will follow, for a place behind it."""
        self._place = place if self._bytes is None or place < self._bytes else None
        self._jumped = True
        self.watch_feed()

    def go_to_share(self, share: float) -> None:
        self.jump(round(clamp(share, 0.0, 1.0) * (self._bytes or 0)))

    def action_go_to(self, place: int) -> None:
        self.jump(place if place >= 0 else (self._bytes or 0))

    def action_scroll_page(self, by: int) -> None:
        self.action_scroll_rows(by * max(self._height - 2, 1))

    def action_scroll_rows(self, by: int) -> None:
        if not self._rows or (by > 0 and self.follows):
            return
        self._first = clamp(self._first + by, 0, self._last_first)
        reads_end = self._lines[-1].end >= (self._bytes or 0)
        if by > 0 and reads_end and self._first == self._last_first:
            self._place = None
            self.watch_feed()
        elif self.follows or self._nears_edge():
            self._place = self.top
            self.watch_feed()
        self.draw()

    def action_wrap(self) -> None:
        self._wraps, self._shift = not self._wraps, 0
        self._lay_out(self.top)

    def action_shift(self, by: int) -> None:
        if not self._wraps:
            self._shift = max(self._shift + by * (self.size.width // 2), 0)
            self._lay_out(self.top)

    @property
    def _height(self) -> int:
        return max(self.size.height - 1, 1)

    @property
    def _last_first(self) -> int:
        return max(len(self._rows) - self._height, 0)

    def _line_at(self, row: int) -> LogLine:
        return self._lines[self._rows[min(row, len(self._rows) - 1)][0]]

    @property
    def _row_in_line(self) -> int:
        if not self._rows:
            return 0
        number, row = self._rows[self._first][0], self._first
        while row and self._rows[row - 1][0] == number:
            row -= 1
        return self._first - row

    def _nears_edge(self) -> bool:
        above = self._rows[self._first][0]
        below = len(self._lines) - self._rows[min(self._first + self._height, len(self._rows) - 1)][0]
        more_above = self._lines[0].start > 0
        more_below = self._lines[-1].end < (self._bytes or 0)
        return (above < _MARGIN and more_above) or (below < _MARGIN and more_below)

    def _lay_out(self, top: int, row: int = 0) -> None:
        """Breaks the lines into rows, and puts the line that begins at or before `top` at the top again."""
        width = self.size.width
        if width <= 0 or self._bytes is None:
            return
        if self._wraps:
            self._rows = [
                (i, piece) for i, line in enumerate(self._lines) for piece in pieces(line.text, width)
            ]
        else:
            self._rows = [(i, line.text[self._shift :]) for i, line in enumerate(self._lines)]
        if self.follows:
            self._first = self._last_first
        else:
            holders = [index for index, (i, _) in enumerate(self._rows) if self._lines[i].start <= top]
            number = self._rows[holders[-1]][0] if holders else 0
            first = next((index for index, (i, _) in enumerate(self._rows) if i == number), 0)
            self._first = min(first + row, self._last_first)
        self.draw()

    def render_line(self, y: int) -> Strip:
        cells = self._drawn[y] if y < len(self._drawn) else []
        return to_strip(cells, self.size.width, self._style_of)

    def draw(self) -> None:
        """Only what differs from what is shown is sent."""
        if self._bytes is None or self.size.width <= 0:
            return
        shown = self._rows[self._first : self._first + self._height]
        lines = [self._painted(text, self._lines[number]) for number, text in shown]
        if not self._bytes:
            lines = [[("The worker has not printed anything yet.", "muted")]]
        lines += [[] for _ in range(self._height - len(lines))]
        lines.append([(fit(self._status(len(shown)), self.size.width), "status")])
        regions = changed_regions(self._drawn, lines)
        self._drawn = lines
        if regions is None:
            self.refresh()
        elif regions:
            self.refresh(*regions)

    def _painted(self, text: str, line: LogLine) -> list[Cell]:
        text = fit(text, self.size.width).rstrip(" ")
        paint = "muted" if line.dropped else next((p for found, p in _PAINTS if found.search(line.text)), "")
        cells: list[Cell] = []
        place = 0
        for match in self.pattern.finditer(text) if self.pattern else ():
            cells += [(text[place : match.start()], paint), (match[0], "found")]
            place = match.end()
        return [*cells, (text[place:], paint)]

    def _status(self, rows: int) -> str:
        if not self._rows:
            return ""
        first, last = self.top, self._line_at(self._first + rows - 1).end
        share = f"{100 * last / self._bytes:.0f}%" if self._bytes else ""
        facts = [
            f" {share}  {'follows' if self.follows else 'stays'}",
            self.note,
            "" if self._wraps else f"cut from column {self._shift + 1}",
            f"bytes {first:,}-{last:,} of {self._bytes:,}",
        ]
        return "   ".join(fact for fact in facts if fact)

    def _style_of(self, paint: str) -> Style:
        return self.get_component_rich_style(f"log-view--{paint}") if paint else self.visual_style.rich_style


def _read(database: object, path: Path, place: int | None) -> LogRead:
    return read_log(path, place)


def pieces(text: str, width: int) -> list[str]:
    """The text in rows of at most `width` cells."""
    if text.isascii():
        return [text[start : start + width] for start in range(0, len(text), width)] or [""]
    rows, row, taken = [], "", 0
    for character in text:
        wide = cell_len(character)
        if row and taken + wide > width:
            rows.append(row)
            row, taken = "", 0
        row, taken = row + character, taken + wide
    return [*rows, row]
