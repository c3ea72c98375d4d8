"""A question that is answered with a line of text."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from cockpit.keymap import named


class AskScreen(ModalScreen[str | None]):
    """Answers the text, or None where the person went back."""

    CSS_PATH = "ask.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named("ask", Binding("escape", "dismiss(None)", "Back"))

    def __init__(self, question: str, hint: str, value: str = "") -> None:
        super().__init__()
        self._question, self._hint, self._value = question, hint, value

    def compose(self) -> ComposeResult:
        with Vertical(id="ask-box"):
            yield Static(Content.styled(self._question, "bold"))
            yield Input(self._value, id="answer", compact=True, select_on_focus=False)
            yield Static(Content(self._hint), id="ask-hint")

    def on_mount(self) -> None:
        self.query_one("#answer").focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip() or None)
