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
    """The line in rows of at most `width` cells, broken after a space where one is near the end."""
    if sum(cell_len(text) for text, _ in line) <= width:
        return [list(line)]
    characters = [(character, paint) for text, paint in line for character in text]
    rows: list[list[Cell]] = []
    while characters:
        end, taken = 0, 0
        while end < len(characters) and (taken := taken + cell_len(characters[end][0])) <= width:
            end += 1
        if end < len(characters):
            spaces = [place for place in range(max(end - width // 2, 1), end) if characters[place][0] == " "]
            end = spaces[-1] + 1 if spaces else max(end, 1)
        rows.append(_joined(characters[:end]))
        characters = characters[end:]
    return rows


def _joined(characters: list[Cell]) -> list[Cell]:
    groups = groupby(characters, key=lambda cell: cell[1])
    return [("".join(text for text, _ in group), paint) for paint, group in groups]
