"""The prompt: reads a line, runs the command line's own command in this process, and says in words what it printed."""

import contextlib
import io
import shlex
import sys
from collections.abc import Callable, Sequence

import click

from cockpit.cli import COMMANDS
from cockpit.control import start_daemon
from cockpit.plain import commands
from cockpit.plain.line import Line
from cockpit.plain.mode import choose_plain
from cockpit.plain.news import News, Verbosity
from cockpit.plain.read_only import only_looks
from cockpit.plain.stream import SpokenStream, is_data, printing_to
from cockpit.plain.words import counted, in_words
from cockpit.plain_text import plain_line
from engines.recipe.wording import nearest
from store.database import Database, StoreError, open_database
from store.jobs import list_jobs
from store.machine import daemon_is_running

CarryOut = Callable[[Sequence[str]], int]
"""Runs a command of the command line; returns its exit code, and has said what went wrong."""

PROMPT = "command: "
_AGAIN = ("next", "previous", "repeat", "news")
"""They walk over an answer, and are none themselves."""


def open_shell(carry_out: CarryOut, *, read_only: bool, verbosity: str) -> None:
    """The prompt on the home directory, until the person leaves. A daemon is started where none runs and one may be."""
    choose_plain()
    _take_any_bytes()
    with contextlib.closing(open_database()) as database:
        problem = ""
        if not read_only and not daemon_is_running(database.home):
            try:
                start_daemon(database)
            except StoreError as error:
                problem = str(error)
        Shell(carry_out, database, read_only, Verbosity(verbosity)).run(problem)


def _take_any_bytes() -> None:
    """A byte that is no character of the terminal's encoding, typed or said, must not end the prompt."""
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "replace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


class Shell:
    """Holds what was said last, where the person is in it, and what the last cancel was of."""

    def __init__(
        self, carry_out: CarryOut, database: Database, read_only: bool, verbosity: Verbosity
    ) -> None:
        self._carry_out = carry_out
        self._database, self._read_only = database, read_only
        self._news = News(database, verbosity)
        history = None if read_only else database.home / "plain-history"
        self._line = Line(self._due, self._complete, history)
        self._answer: list[str] = []
        self._place = -1
        self._cancelled: list[str] = []

    def run(self, problem: str = "") -> None:
        looks = " It was opened to look only: nothing can be changed." if self._read_only else ""
        self._tell([f"Tunedeck, in plain words.{looks}", *problem.splitlines()])
        self._guarded(lambda: self._tell(commands.where(self._database)))
        self._tell(["Type help for the commands, quit to leave."])
        try:
            while self._turn():
                pass
        finally:
            self._line.close()

    def _turn(self) -> bool:
        """A line and its answer. False once the person leaves."""
        self._tell(self._due())
        try:
            line = self._line.ask(PROMPT)
        except EOFError:
            self._tell(["", "Goodbye. Jobs go on."])
            return False
        except KeyboardInterrupt:
            self._tell(["", "Nothing is running here. quit leaves."])
            return True
        try:
            words = shlex.split(line)
        except ValueError:
            self._tell(["error: a quote in this line is not closed."])
            return True
        if words[:1] == ["tunedeck"]:
            words = words[1:]
        if not words:
            return True
        name, arguments = commands.ALIASES.get(words[0], words[0]), words[1:]
        if name == "quit":
            self._tell(["Goodbye. Jobs go on."])
            return False
        self._guarded(lambda: self._obey(name, arguments))
        return True

    def _guarded(self, act: Callable[[], None]) -> None:
        """Whatever goes wrong is said in words, and the prompt comes back."""
        try:
            act()
        except click.ClickException as error:
            self._tell([f"error: {error.format_message()}"])
        except KeyboardInterrupt:
            self._tell(["", "Interrupted."])
        except Exception as error:
            self._tell(
                [
                    f"error: {error}"
                    if isinstance(error, StoreError)
                    else f"error: {type(error).__name__}: {error}"
                ]
            )

    def _obey(self, name: str, arguments: list[str]) -> None:
        own = self._own(name, arguments)
        if own is not None:
            if name not in _AGAIN:
                self._answer, self._place = own, -1
            self._tell(own)
        elif name in COMMANDS:
            self._command(name, arguments)
        else:
            hint = nearest(name, [*COMMANDS, *commands.OWN]) or "help lists the commands"
            raise click.UsageError(f"there is no command {plain_line(name, 60)}. {hint}")

    def _own(self, name: str, arguments: list[str]) -> list[str] | None:
        """The answer to a command that the command line does not have; None where it has it."""
        if name == "where":
            return commands.where(self._database)
        if name == "curve":
            return [line for said in commands.curve(self._database, arguments) for line in said.split("\n")]
        if name == "news":
            self._look()
            return self._news.heard() or ["Nothing has happened since you came."]
        if name == "say":
            return self._say(arguments)
        if name in ("next", "previous", "repeat"):
            return self._walk(name)
        if name == "help" and not arguments:
            known = {**commands.OWN, **{command: text for command, (_, text) in COMMANDS.items()}}
            return [f"{command}: {text}." for command, text in known.items()]
        if name == "help":
            self._obey(commands.ALIASES.get(arguments[0], arguments[0]), ["--help"])
            return []
        return None

    def _say(self, arguments: Sequence[str]) -> list[str]:
        known = [one.value for one in Verbosity]
        if len(arguments) != 1 or arguments[0] not in known:
            raise click.UsageError(f"say needs one of: {', '.join(known)}. Now it is {self._news.verbosity}")
        self._news.verbosity = Verbosity(arguments[0])
        return [f"From now on: {arguments[0]}."]

    def _walk(self, name: str) -> list[str]:
        """A line of the last answer; all of it for `repeat` before the first step."""
        if not self._answer:
            return ["There is no answer to walk over yet."]
        if name == "repeat" and self._place < 0:
            return self._answer
        place = self._place + {"next": 1, "previous": -1, "repeat": 0}[name]
        if not 0 <= place < len(self._answer):
            return [
                f"That was the {'last' if place > 0 else 'first'} of {counted(len(self._answer), 'line')}."
            ]
        self._place = place
        return [self._answer[place]]

    def _command(self, name: str, arguments: list[str]) -> None:
        if self._read_only and not only_looks(name, arguments):
            raise StoreError("this changes something, and Tunedeck was opened with --read-only")
        if name == "undo" and not arguments:
            if not self._cancelled:
                raise StoreError("nothing was cancelled here that undo could take back. undo 12 names a job")
            arguments = self._cancelled
        is_asked = arguments[:1] not in (["--help"], ["-h"], [])
        if name == "cancel" and is_asked:
            question = commands.to_be_cancelled(self._database, arguments)
            if question and not self._line.answer(in_words(question) + " "):
                self._tell(["Nothing is cancelled."])
                return
        stream = SpokenStream(sys.stdout, is_data(name, arguments))
        with printing_to(stream):
            code = self._carry_out([name, *arguments])
        self._answer, self._place = stream.said, -1
        if name == "cancel" and is_asked and code == 0:
            self._cancelled = arguments
        if not stream.said:
            self._tell(["Done." if code == 0 else f"It ended with code {code}."])

    def _due(self) -> list[str]:
        self._look()
        return [in_words(line) for line in self._news.due()]

    def _look(self) -> None:
        """A store that cannot be read now may be read the next time; a command says what is wrong with it."""
        with contextlib.suppress(Exception):
            self._news.look()

    def _complete(self, before: str, word: str) -> list[str]:
        """Commands at the beginning of a line; numbers of jobs behind one, the newest first."""
        if not before.strip() or before.strip() == "help":
            return [f"{name} " for name in (*COMMANDS, *commands.OWN) if name.startswith(word)]
        if not word.isdecimal() and word:
            return []
        with contextlib.suppress(StoreError):
            ids = [str(job.id) for job in reversed(list_jobs(self._database, limit=50))]
            return [f"{number} " for number in ids if number.startswith(word)]
        return []

    def _tell(self, lines: Sequence[str]) -> None:
        stream = SpokenStream(sys.stdout)
        for line in lines:
            stream.write(f"{line}\n") if line else sys.stdout.write("\n")
        stream.finish()
