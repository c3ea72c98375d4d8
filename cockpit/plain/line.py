"""Reading a line: history and completion by the standard library's readline, and news while nothing is being typed."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

try:
    import readline as _readline
except ImportError:  # Python can be built without it
    _readline = None  # type: ignore[assignment]

LOOK_SECONDS = 1.0
_HISTORY_LINES = 1000

Told = Callable[[], Sequence[str]]
Complete = Callable[[str, str], Sequence[str]]
"""(line up to the word, beginning of the word) -> what the word may be."""


class Line:
    """A prompt. `told` is asked for news about once a second, as long as the line is empty."""

    def __init__(self, told: Told, complete: Complete, history: Path | None) -> None:
        self._told, self._history = told, history
        self._readline: ModuleType | None = _readline if sys.stdin.isatty() and sys.stdout.isatty() else None
        if self._readline is not None:
            _set_up(self._readline, complete, history)

    def ask(self, prompt: str) -> str:
        """A line without its end. Raises EOFError at the end of input, KeyboardInterrupt for ctrl+c."""
        if self._readline is None:
            # Nobody answers from a pipe, and without an echo the answer would stand behind the question.
            sys.stdout.write(prompt if sys.stdin.isatty() else "")
            sys.stdout.flush()
            line = sys.stdin.readline()
            if not line:
                raise EOFError
            return line.rstrip("\r\n")
        with self._announcing(prompt):
            return input(prompt)

    def answer(self, question: str) -> bool:
        """A yes or a no. What is no yes is a no; answers are not kept in the history."""
        try:
            said = input(question) if self._readline else self.ask(question)
        except EOFError:
            return False
        if self._readline is not None and said:
            self._readline.remove_history_item(self._readline.get_current_history_length() - 1)
        return said.strip().lower() in ("y", "yes")

    def close(self) -> None:
        """Keeps the history. One that cannot be written is no reason to trouble anybody on the way out."""
        if self._readline is not None and self._history is not None:
            with contextlib.suppress(OSError):
                self._readline.set_history_length(_HISTORY_LINES)
                self._readline.write_history_file(self._history)

    @contextlib.contextmanager
    def _announcing(self, prompt: str) -> Iterator[None]:
        """Says news from a thread of its own while the prompt waits. Nothing else speaks meanwhile."""
        is_over = threading.Event()

        def announce() -> None:
            # Ctrl+c is for the thread that waits for a line: a signal that arrives here would not wake it.
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
            while not is_over.wait(LOOK_SECONDS):
                if self._is_empty and (lines := self._told()) and self._is_empty and not is_over.is_set():
                    # Below the empty prompt, and the prompt again: the line is as readline left it.
                    sys.stdout.write("\n" + "".join(line + "\n" for line in lines) + prompt)
                    sys.stdout.flush()

        announcer = threading.Thread(target=announce, daemon=True)
        announcer.start()
        try:
            yield
        finally:
            is_over.set()
            announcer.join()

    @property
    def _is_empty(self) -> bool:
        return self._readline is not None and not self._readline.get_line_buffer()


def _set_up(readline: ModuleType, complete: Complete, history: Path | None) -> None:
    def matching(word: str, state: int) -> str | None:
        before = readline.get_line_buffer()[: readline.get_begidx()]
        found = complete(before, word)
        return found[state] if state < len(found) else None

    readline.set_completer(matching)
    readline.set_completer_delims(" ")
    # No escape codes around what is pasted, no bell, and lists of completions without pages that ask.
    for setting in (
        "enable-bracketed-paste off",
        "bell-style none",
        "page-completions off",
        "completion-query-items 0",
    ):
        readline.parse_and_bind(f"set {setting}")
    readline.parse_and_bind("tab: complete")
    if history is not None:
        with contextlib.suppress(OSError):
            readline.read_history_file(history)
