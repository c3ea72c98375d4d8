"""The line in which jobs are filtered: what is wrong is said beside it as one types."""

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from store.filter_language import parse
from store.filter_tree import FilterError

TYPING_SECONDS = 0.15
"""After a key, until the jobs are filtered anew."""

HELP = """\
words !without  status:failed  exp: name: engine: group:  /regex/  OR NOT ( )
acc>0.5 loss<1 done<50% id:3-9 priority:1 gpus>0 age<2h took>30m  held"""


class FilterBox(Vertical):
    """Hidden until it is opened. The jobs stay those of the last filter that could be understood."""

    @dataclass
    class Typed(Message):
        """A filter that can be understood; `done` when it was entered."""

        text: str
        done: bool

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Static(Content(HELP), id="filter-says")
        yield Input(self._text, placeholder="e.g.  failed sft !eval", id="filter", compact=True)

    def on_mount(self) -> None:
        self.display = False

    def open(self) -> None:
        self.display = True
        self.query_one(Input).focus()

    def close(self, text: str) -> None:
        """Hides the line, with what it is to hold when it is opened again."""
        self._stop_waiting()
        self.display = False
        with self.prevent(Input.Changed):
            self.query_one(Input).value = text
        self._say(Content(HELP))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._stop_waiting()
        if self._is_understood(event.value):
            # Half a word finds other jobs than the whole one: those are not looked for in between.
            self._typing = self.set_timer(TYPING_SECONDS, lambda: self._tell(event.value, False))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self._is_understood(event.value):
            self._tell(event.value, True)

    def _tell(self, text: str, done: bool) -> None:
        self._stop_waiting()
        self.post_message(self.Typed(text, done))

    def _stop_waiting(self) -> None:
        if self._typing:
            self._typing.stop()

    def _is_understood(self, text: str) -> bool:
        try:
            parse(text)
        except FilterError as error:
            self._say(Content.assemble((f"✗ {error.text}", "$error"), "\n", (error.hint, "$foreground 60%")))
            return False
        self._say(Content(HELP))
        return True

    def _say(self, content: Content) -> None:
        said = self.query_one("#filter-says", Static)
        if said.content != content:
            said.update(content)
