"""One line of text asked for at the bottom of the screen, above what it is about."""

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from cockpit.keymap import named


class AskLine(ModalScreen[str | None]):
    """Answers with the line, or None when it was left. `wrong` says what is wrong with a line, or nothing."""

    CSS_PATH = "ask_line.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named("line", Binding("escape", "dismiss(None)", "Leave"))

    def __init__(self, question: str, value: str, wrong: Callable[[str], str]) -> None:
        super().__init__()
        self._question, self._value, self._wrong = question, value, wrong

    def compose(self) -> ComposeResult:
        with Vertical(id="ask-box"):
            yield Static(Content(self._question), id="ask-question")
            yield Input(self._value, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if problem := self._wrong(event.value):
            self.query_one("#ask-question", Static).update(Content.styled(problem, "$error"))
        else:
            self.dismiss(event.value)
