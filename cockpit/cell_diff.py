"""Sends the terminal only the cells that differ from what it shows.

Textual repaints a widget's whole line from its left edge, each piece with all of its colours. Over a slow line that is
most of what is sent, and nearly all of it is there already. Between Textual and its driver, this keeps a copy of the
screen: what Textual writes is put on the copy, and the cells that changed go out, with the shortest way there and only
the colours that differ. What is not plain painting goes through as it is; whatever may upset the screen makes the copy
forget, so that the next painting is sent whole.
"""

import re
from typing import NamedTuple

from rich.cells import cell_len
from textual.driver import Driver

SYNC_START, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"
_TOKEN = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H|\x1b\[(?P<sgr>[\d;]*)m|(?P<newline>\r?\n)|(?P<text>[^\x00-\x1f\x7f\x1b]+)"
)
_HARMLESS = re.compile(
    r"(?:\x1b\[(?!\?1049|\?47)[?<>=][\d;$]*[a-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x07)+"
)  # modes, questions, the clipboard, the bell: nothing on the screen changes
_BRIDGE = 4
"""Unchanged cells of the same colours between two changes that are cheaper to send again than to jump over."""


class Style(NamedTuple):
    """What a cell looks like, as the parameters of an SGR sequence."""

    attributes: str
    foreground: str
    background: str


PLAIN = Style("", "", "")
Cell = tuple[str, Style]
_CONTINUED = ""
"""The text of the cell that is the right half of a wide character."""


class CellDiff:
    """The copy of the screen. `thin` turns what Textual writes into what has to be sent."""

    def __init__(self) -> None:
        self._styles: dict[str, Style] = {}
        self._waiting = ""
        self.forget()

    def attach(self, driver: Driver) -> None:
        """From now on the driver writes what is left."""
        write = driver.write

        def thinned(data: str) -> None:
            if sent := self.thin(data):
                write(sent)

        driver.write = thinned  # type: ignore[method-assign]

    def forget(self) -> None:
        """What the terminal shows is not known: it was resized, or something else wrote to it."""
        self._rows: dict[int, dict[int, Cell]] = {}
        self._cursor: tuple[int, int] | None = None
        self._style: Style | None = None

    def thin(self, data: str) -> str:
        if data in (SYNC_START, SYNC_END):
            return self._frame(data)
        parsed = self._parse(data)
        if parsed is None:
            if not _HARMLESS.fullmatch(data):
                self.forget()
            waiting, self._waiting = self._waiting, ""
            return waiting + data
        changed, cursor = parsed
        sent = "".join(self._emit(row, columns) for row, columns in sorted(changed.items()))
        if cursor is not None and cursor != self._cursor:
            sent += self._move(*cursor)
        if sent:
            sent, self._waiting = self._waiting + sent, ""
        return sent

    def _frame(self, data: str) -> str:
        """A frame in which nothing is sent needs no beginning and no end."""
        if data == SYNC_START:
            self._waiting = SYNC_START
            return ""
        opened, self._waiting = not self._waiting, ""
        return SYNC_END if opened else ""

    def _parse(self, data: str) -> tuple[dict[int, set[int]], tuple[int, int] | None] | None:
        """Puts the painting on the copy. Returns the columns that changed by row, and where the cursor is left.

        None where the data is more than painting; nothing is put on the copy then.
        """
        painted: list[tuple[int, int, str, Style]] = []
        place: tuple[int, int] | None = None
        style, end = PLAIN, 0
        for token in _TOKEN.finditer(data):
            if token.start() != end:
                return None
            end = token.end()
            if text := token["text"]:
                if place is None:
                    return None
                painted.append((*place, text, style))
                place = place[0], place[1] + cell_len(text)
            elif token["row"]:
                place = int(token["row"]), int(token["column"])
            elif token["newline"]:
                place = None  # Textual always says where it goes on
            else:
                style = self._after(style, token["sgr"])
        if end != len(data):
            return None
        changed: dict[int, set[int]] = {}
        for row, column, text, look in painted:
            if columns := self._put(row, column, text, look):
                changed.setdefault(row, set()).update(columns)
        return changed, place

    def _put(self, row: int, column: int, text: str, style: Style) -> list[int]:
        """Writes on the copy. Returns the columns that are other than they were."""
        line = self._rows.setdefault(row, {})
        changed = []
        for cell in (
            [(character, style) for character in text] if len(text) == cell_len(text) else _cells(text, style)
        ):
            if line.get(column) != cell:
                line[column] = cell
                changed.append(column)
            column += 1
        return changed

    def _emit(self, row: int, columns: set[int]) -> str:
        line, sent = self._rows[row], []
        for first, last in _runs(line, columns):
            if self._cursor != (row, first):
                sent.append(self._move(row, first))
            for column in range(first, last + 1):
                text, style = line[column]
                sent.append(self._paint(style) + text)
            self._cursor = row, last + 1
        # At the right edge terminals differ on where the cursor is.
        self._cursor = None
        return "".join(sent)

    def _move(self, row: int, column: int) -> str:
        self._cursor = row, column
        return f"\x1b[{row};{column}H"

    def _paint(self, style: Style) -> str:
        """From the colours that the terminal is set to, to these."""
        now, self._style = self._style, style
        if now == style:
            return ""
        if now is None or now.attributes != style.attributes or not _only_sets(now, style):
            return f"\x1b[{';'.join(['0', *filter(None, style)])}m"
        parts = [new for new, old in zip(style[1:], now[1:], strict=True) if new != old]
        return f"\x1b[{';'.join(parts)}m"

    def _after(self, style: Style, parameters: str) -> Style:
        if parameters in ("", "0"):
            return PLAIN
        found = self._styles.get(parameters)
        if found is None:
            found = self._styles[parameters] = _style(parameters)
        if style == PLAIN:
            return found
        together = ";".join(filter(None, (style.attributes, found.attributes)))
        return Style(together, found.foreground or style.foreground, found.background or style.background)


def _only_sets(now: Style, style: Style) -> bool:
    """Whether no colour has to go back to the terminal's own, which only a reset does."""
    return all(new or not old for new, old in zip(style[1:], now[1:], strict=True))


def _style(parameters: str) -> Style:
    """Sorts the parameters of an SGR sequence, which begins with a plain cell."""
    attributes, foreground, background = [], "", ""
    left = parameters.split(";")
    while left:
        code = left.pop(0)
        if code in ("38", "48"):
            count = 2 if left and left[0] == "5" else 4
            colour = ";".join([code, *left[:count]])
            left = left[count:]
            foreground, background = (colour, background) if code == "38" else (foreground, colour)
        elif code[:-1] in ("3", "9"):
            foreground = code
        elif code[:-1] in ("4", "10"):
            background = code
        else:
            attributes.append(code)
    return Style(";".join(attributes), foreground, background)


def _cells(text: str, style: Style) -> list[Cell]:
    """One for each column: a wide character has two, and what has no width stays with the character before it."""
    cells: list[Cell] = []
    for character in text:
        width = cell_len(character)
        if width == 0 and cells:
            place = len(cells) - 1
            while place and not cells[place][0]:
                place -= 1
            cells[place] = cells[place][0] + character, style
        elif width:
            cells += [(character, style), *[(_CONTINUED, style)] * (width - 1)]
    return cells


def _runs(line: dict[int, Cell], columns: set[int]) -> list[tuple[int, int]]:
    """The changed columns as stretches that are painted in one go, first and last."""
    runs: list[tuple[int, int]] = []
    for column in sorted(columns):
        first = column
        while line[first][0] == _CONTINUED and first - 1 in line:
            first -= 1  # a wide character is painted whole
        if runs and first - runs[-1][1] <= _BRIDGE + 1 and _is_even(line, runs[-1][1], column):
            runs[-1] = runs[-1][0], column
        else:
            runs.append((first, column))
    return runs


def _is_even(line: dict[int, Cell], first: int, last: int) -> bool:
    """Whether all cells between are known and of one look."""
    looks = {line[column][1] if column in line else None for column in range(first, last + 1)}
    return len(looks) == 1 and None not in looks
