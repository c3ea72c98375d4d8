"""Painted lines to scroll through: recipes, histories, scores, completions. Long lines are wrapped."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.keymap import named
from cockpit.widgets.cells import Cell, to_strip

Line = Sequence[Cell]
HANG: Cell = ("", "hang")
"""Stands in a line where its continuation rows begin; without it they begin where its text does, behind its `│`."""


class TextView(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows lines of cells; the text in them must be plain already."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"text-view--{paint}" for paint in ("muted", "strong", "good", "bad", "attention", "accent")
    }

    BINDINGS: ClassVar[list[BindingType]] = named(
        "text",
        Binding("up,k", "scroll_by(-1)", "Up", show=False),
        Binding("down,j", "scroll_by(1)", "Down", show=False),
        Binding("pageup,ctrl+u", "scroll_by(-20)", "Page up", show=False),
        Binding("pagedown,ctrl+d", "scroll_by(20)", "Page down", show=False),
        Binding("home,g", "scroll_end_or_home(False)", "Top", show=False),
        Binding("end,G", "scroll_end_or_home(True)", "Bottom", show=False),
    )

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []
        self._wrapped: list[list[Cell]] = []

    @property
    def text(self) -> str:
        """What is shown, without paint."""
        return "\n".join("".join(text for text, _ in line) for line in self._lines)

    def show(self, lines: Iterable[Line]) -> None:
        new = list(lines)
        if new != self._lines:
            self._lines = new
            self._wrap()

    def on_resize(self) -> None:
        self._wrap()

    def render_line(self, y: int) -> Strip:
        place = self.scroll_offset.y + y
        cells = self._wrapped[place] if place < len(self._wrapped) else []
        return to_strip(cells, self.size.width, self._style_of)

    def action_scroll_by(self, lines: int) -> None:
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False)

    def action_scroll_end_or_home(self, end: bool) -> None:
        self.scroll_to(y=self.max_scroll_y if end else 0, animate=False)

    def _wrap(self) -> None:
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        self._wrapped = [row for line in self._lines for row in wrap(line, width)]
        self.virtual_size = Size(0, len(self._wrapped))
        self.refresh()

    def _style_of(self, paint: str) -> Style:
        return self.get_component_rich_style(f"text-view--{paint}") if paint else self.visual_style.rich_style


def wrap(line: Line, width: int) -> list[list[Cell]]:
    """The line in rows of at most `width` cells, broken near the end after a space or else after a `/`."""
    cells = [cell for cell in line if cell != HANG]
    if sum(cell_len(text) for text, _ in cells) <= width:
        return [cells]
    indent = _indent(line, width)
    rows: list[list[Cell]] = []
    characters = [(character, paint) for text, paint in cells for character in text]
    while characters:
        start = indent if rows else []
        end = _end(characters, width - len(start), len(indent) + 1 if not rows else 1)
        rows.append(_joined([*start, *characters[:end]]))
        characters = characters[end:]
        while characters and characters[0][0] == " ":
            characters = characters[1:]
    return rows


def _indent(line: Line, width: int) -> list[Cell]:
    """What continuation rows begin with, a cell each; nothing where it would take half of the room."""
    text = "".join(text for text, _ in line)
    if HANG in line:
        before = "".join(text for text, _ in line[: line.index(HANG)])
        indent = [(" ", "")] * cell_len(before)
    else:
        length = len(text) - len(text.lstrip(" │"))
        indent = [(one, paint) for text, paint in line for one in text][:length]
    return indent if len(indent) <= width // 2 else []


def _end(characters: Sequence[Cell], width: int, least: int) -> int:
    """How many of the characters make a row."""
    end, taken = 0, 0
    while end < len(characters) and (taken := taken + cell_len(characters[end][0])) <= width:
        end += 1
    if end == len(characters):
        return end
    for after in " /":
        places = [
            place for place in range(max(end - width // 2, least), end) if characters[place][0] == after
        ]
        if places:
            return places[-1] + 1
    return max(end, 1)


def _joined(characters: list[Cell]) -> list[Cell]:
    groups = groupby(characters, key=lambda cell: cell[1])
    return [("".join(text for text, _ in group), paint) for paint, group in groups]
