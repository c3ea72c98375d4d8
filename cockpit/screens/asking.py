"""Small questions over a screen: for a line of text, or for one of several things."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from cockpit.keymap import named


class AskScreen(ModalScreen[str]):
    """Answers with what was typed, once `check` finds nothing wrong with it."""

    CSS_PATH = "asking.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named("ask", Binding("escape", "dismiss(None)", "Back"))

    def __init__(self, question: str, hint: str, value: str, check: Callable[[str], str]) -> None:
        """`check` says in words what is wrong with an answer, or nothing."""
        super().__init__()
        self._question, self._hint, self._value, self._check = question, hint, value, check

    def compose(self) -> ComposeResult:
        with Vertical(id="asking-box"):
            yield Static(Content.styled(self._question, "bold"))
            yield Input(self._value, compact=True, id="answer")
            yield Static(Content(self._hint), id="asking-hint")

    @on(Input.Changed)
    def _judge(self, event: Input.Changed) -> None:
        wrong = self._check(event.value) if event.value else ""
        hint = Content.styled(f"✗ {wrong}", "$error") if wrong else Content(self._hint)
        self.query_one("#asking-hint", Static).update(hint)

    @on(Input.Submitted)
    def _answer(self, event: Input.Submitted) -> None:
        if event.value and not self._check(event.value):
            self.dismiss(event.value)


class PickScreen(ModalScreen[int]):
    """Answers with the number of the line that was chosen, from 0."""

    CSS_PATH = "asking.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "pick",
        Binding("escape,q", "dismiss(None)", "Back"),
        Binding("j", "step(1)", "Down", show=False),
        Binding("k", "step(-1)", "Up", show=False),
    )

    def __init__(self, question: str, lines: Sequence[str], highlighted: int = 0) -> None:
        super().__init__()
        self._question, self._choices, self._highlighted = question, list(lines), highlighted

    def compose(self) -> ComposeResult:
        with Vertical(id="asking-box"):
            yield Static(Content.styled(self._question, "bold"))
            yield OptionList(*(Option(Content(line)) for line in self._choices), compact=True)

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = self._highlighted

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)

    def action_step(self, by: int) -> None:
        options = self.query_one(OptionList)
        (options.action_cursor_down if by > 0 else options.action_cursor_up)()
