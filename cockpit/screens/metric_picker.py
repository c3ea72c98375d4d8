"""Which metrics of a job to draw, or which runs beside it."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList

from cockpit.keymap import named
from cockpit.plain_text import plain_line

Chart = tuple[str, ...]


class MetricPicker(ModalScreen[list[Chart] | None]):
    """Answers with the chosen charts, or None when it was left without choosing."""

    CSS_PATH = "metric_picker.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "metrics",
        Binding("space", "mark", "Mark", priority=True),
        Binding("enter", "take", "Draw", priority=True),
        Binding("escape,m,q", "dismiss(None)", "Back"),
        Binding("j", "move(1)", "Down", show=False),
        Binding("k", "move(-1)", "Up", show=False),
    )

    def __init__(
        self,
        possible: Sequence[Chart],
        chosen: Sequence[Chart],
        title: str = "Metrics to draw",
        may_be_none: bool = False,
    ) -> None:
        super().__init__()
        self._title, self._may_be_none = title, may_be_none
        self._possible, self._chosen = list(possible), set(chosen)

    def compose(self) -> ComposeResult:
        with Vertical(id="picker-box") as box:
            box.border_title = self._title
            box.border_subtitle = "space marks, enter draws, esc leaves"
            yield OptionList(*(self._label(chart) for chart in self._possible))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._flip(event.option_index)

    def action_mark(self) -> None:
        highlighted = self.query_one(OptionList).highlighted
        if highlighted is not None:
            self._flip(highlighted)

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()

    def action_take(self) -> None:
        taken = [chart for chart in self._possible if chart in self._chosen]
        self.dismiss(taken if taken or self._may_be_none else None)

    def _flip(self, index: int) -> None:
        chart = self._possible[index]
        self._chosen ^= {chart}
        self.query_one(OptionList).replace_option_prompt_at_index(index, self._label(chart))

    def _label(self, chart: Chart) -> Content:
        """The mark is text, for eyes and terminals without colour."""
        return Content(
            f"[{'x' if chart in self._chosen else ' '}] {', '.join(plain_line(name, 60) for name in chart)}"
        )
