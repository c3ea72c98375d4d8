"""Somebody who listens: a real `tunedeck --plain` behind a pseudo-terminal, and every byte that it says."""

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROMPT = "command: "
WAIT_SECONDS = 30.0


class Listener:
    def __init__(self, home: Path, *options: str, **environment: str) -> None:
        self.heard = b""
        self._seen = 0
        plain = {
            name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TUNEDECK_ASCII")
        }
        settings = {
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "TUNEDECK_HOME": str(home),
        }
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            # A test run that was put into the background hands an ignored ctrl+c down.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            command = [sys.executable, "-P", "-m", "cockpit", *options]
            os.execve(sys.executable, command, plain | settings | environment)

    @property
    def text(self) -> str:
        return self.heard.decode()

    def hears(self, *parts: str) -> str:
        """What is said from here on, until all of these parts were."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not all(part in self.text[self._seen :] for part in parts):
            assert time.monotonic() < deadline, f"waited in vain for {parts}: {self.text[self._seen :]!r}"
            self._listen(0.05)
        return self.text[self._seen :]

    def ask(self, line: str, *parts: str) -> str:
        """Types a line at the prompt; the answer, which ends with the next prompt."""
        self.type(line + "\r")
        self.hears(line, *parts)
        # The echo of the line has no prompt in it: one more is the next.
        answer = self.hears(f"\n{PROMPT}")
        self._seen = len(self.text)
        return answer.replace("\r\n", "\n").removesuffix(PROMPT)

    def type(self, keys: str) -> None:
        os.write(self._file, keys.encode())

    def interrupt_until(self, part: str) -> None:
        """Presses ctrl+c, and again where it was lost: between two keys Python's readline does not hear a signal."""
        deadline = time.monotonic() + WAIT_SECONDS
        while part not in self.text[self._seen :]:
            assert time.monotonic() < deadline, f"waited in vain for {part}: {self.text[self._seen :]!r}"
            self.type("\x03")
            self.is_silent(0.5)

    def ready(self) -> "Listener":
        self.hears(PROMPT)
        self._seen = len(self.text)
        return self

    def forget(self) -> None:
        self._seen = len(self.text)

    def is_silent(self, seconds: float) -> bool:
        before = len(self.heard)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._listen(0.05)
        return len(self.heard) == before

    def ends(self) -> int:
        """Waits for the end of the process; its exit code."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (found := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            assert time.monotonic() < deadline, self.text[-500:]
            self._listen(0.05)
        self._listen(0.05)
        self.pid = 0
        return os.waitstatus_to_exitcode(found[1])

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        os.close(self._file)

    def _listen(self, seconds: float) -> None:
        if select.select([self._file], [], [], seconds)[0]:
            try:
                self.heard += os.read(self._file, 65536)
            except OSError:  # the other end is closed
                time.sleep(0.01)


@pytest.fixture
def listen(home: Path) -> Iterator[Callable[..., Listener]]:
    """Opens a prompt that starts no daemon, unless told otherwise."""
    opened: list[Listener] = []

    def open_(*options: str, **environment: str) -> Listener:
        opened.append(Listener(home, "--plain", *options, **environment))
        return opened[-1]

    yield open_
    for listener in opened:
        listener.close()
