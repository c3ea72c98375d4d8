"""What commands print, on its way to the person: every line in words, and remembered so that it can be said again."""

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import TextIO

from cockpit.plain.words import in_words, signs_in_words
from cockpit.plain_text import plain_line

_DATA_OPTIONS = ("--json", "--csv", "--markdown")
_DATA_COMMANDS = ("schema", "completion")


def is_data(name: str, arguments: Sequence[str]) -> bool:
    """Whether a command prints what programs read: its signs and spaces mean something."""
    shows_a_file = name == "recipes" and "show" in arguments
    return name in _DATA_COMMANDS or shows_a_file or any(option in arguments for option in _DATA_OPTIONS)


class SpokenStream(io.TextIOBase):
    """Takes the place of stdout and stderr while a command runs. `data`: JSON and the like, whose spaces mean something."""

    def __init__(self, target: TextIO, data: bool = False) -> None:
        super().__init__()
        self._target, self._data = target, data
        self._pending = ""
        self.said: list[str] = []

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._target.encoding or "utf-8"

    def isatty(self) -> bool:
        return self._target.isatty()

    def writable(self) -> bool:
        return True

    def write(self, text: str | bytes) -> int:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def flush(self) -> None:
        """Half a line is a question: it has to be heard before it can be answered."""
        if self._pending.rstrip().endswith((":", "?", "]")):
            self._put(in_words(self._pending) + " ")
            self._pending = ""
        self._target.flush()

    def finish(self) -> None:
        """What came without an end of line is said too."""
        if self._pending:
            self._say(self._pending)
            self._pending = ""
        self._target.flush()

    def _say(self, line: str) -> None:
        if self._data and not self.isatty():
            # A program reads it: a sign that became a word, or a quote that became another, would change what it says.
            self._put(line + "\n")
            return
        said = signs_in_words(plain_line(line, max(len(line), 1))) if self._data else in_words(line)
        if said.strip():
            self.said.append(said)
            self._put(said + "\n")

    def _put(self, text: str) -> None:
        encoding = self.encoding
        self._target.write(text.encode(encoding, "replace").decode(encoding))


@contextlib.contextmanager
def printing_to(stream: SpokenStream, narration: SpokenStream | None = None) -> Iterator[None]:
    """Data and narration in one order, as one hears them; with a stream of its own, narration stays out of the data."""
    narration = narration or stream
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(narration):
        yield
    stream.finish()
    narration.finish()
