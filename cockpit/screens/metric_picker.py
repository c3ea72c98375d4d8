"""Which metrics of a job to draw."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import SelectionList
from textual.widgets.selection_list import Selection

from cockpit.plain_text import plain_line

Chart = tuple[str, ...]


class MetricPicker(ModalScreen[list[Chart] | None]):
    """Answers with the chosen charts, or None when it was left without choosing."""

    CSS_PATH = "metric_picker.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Draw", priority=True),
        Binding("escape,m,q", "dismiss(None)", "Back"),
    ]

    def __init__(self, possible: Sequence[Chart], chosen: Sequence[Chart]) -> None:
        super().__init__()
        self._possible, self._chosen = list(possible), set(chosen)

    def compose(self) -> ComposeResult:
        with Vertical(id="picker-box") as box:
            box.border_title = "Metrics to draw"
            box.border_subtitle = "space marks, enter draws, esc leaves"
            options = [
                Selection(
                    Content(", ".join(plain_line(name, 60) for name in chart)), index, chart in self._chosen
                )
                for index, chart in enumerate(self._possible)
            ]
            yield SelectionList[int](*options)

    def action_take(self) -> None:
        selected = sorted(self.query_one(SelectionList).selected)
        self.dismiss([self._possible[index] for index in selected] or None)
