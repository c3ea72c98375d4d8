"""The cockpit in a real pseudo-terminal, and under the settings people have."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

import pyte
import pytest

OPEN = (
    "import sys; from pathlib import Path; from cockpit.app import run; "
    "run(Path(sys.argv[1]), low_bandwidth='low' in sys.argv)"
)
SGR = re.compile(r"\x1b\[([0-9;]*)m")


class Terminal:
    """A cockpit behind a pseudo-terminal, and every byte it sends."""

    def __init__(self, home, *options, **environment):
        plain = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TUNEDECK_ASCII")}
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"} | environment
            os.execve(sys.executable, [sys.executable, "-c", OPEN, str(home), *options], plain | settings)
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def press(self, keys):
        os.write(self.file, keys)

    def until(self, text, seconds=30):
        """Everything sent up to and with a text."""
        sent, deadline = b"", time.monotonic() + seconds
        while text not in sent:
            assert time.monotonic() < deadline, sent[-2000:]
            sent += self._read(0.05)
        return sent

    def burst(self):
        """What is sent from the first byte on until the line is quiet again."""
        sent, deadline = b"", time.monotonic() + 30
        while not sent:
            assert time.monotonic() < deadline
            sent = self._read(0.1)
        while more := self.during(0.7):
            sent += more
        return sent

    def during(self, seconds):
        """Everything sent in a span of time, which begins when the line has gone quiet."""
        sent, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            sent += self._read(0.05)
        return sent

    def until_quiet(self, seconds=1.0):
        while self.during(seconds):
            pass

    def _read(self, seconds):
        ready, _, _ = select.select([self.file], [], [], seconds)
        return os.read(self.file, 65536) if ready else b""

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.file)


@pytest.fixture
def terminal(database):
    opened = []

    def start(*options, **environment):
        opened.append(Terminal(database.home, *options, **environment))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_nothing_is_sent_when_nothing_changes_and_little_when_a_curve_grows(terminal, bench):
    bench.enqueue("train")
    bench.train(bench.start(), 1, 50)
    screen = terminal()
    screen.until(b"train")
    screen.until_quiet()
    assert screen.during(2) == b""
    screen.press(b"\r")
    screen.until(b"step")
    screen.until_quiet()
    assert screen.during(2) == b""
    sizes = []
    for step in range(51, 56):
        bench.train(1, step, step)
        sizes.append(len(screen.burst()))
    # There are two looks at the store a second, and 4 KiB.
    assert sum(sizes) / len(sizes) < 2048


@pytest.mark.slow
@pytest.mark.parametrize(("options", "bytes_a_second"), [((), 4096), (("low",), 1024)])
def test_ten_steps_a_second_stay_within_the_budget_of_the_line(terminal, bench, options, bytes_a_second):
    bench.enqueue("train")
    bench.train(bench.start(), 1, 200, total=1000)
    screen = terminal(*options)
    screen.until(b"running")
    screen.press(b"\r")
    screen.until(b"step")
    screen.until_quiet(6 if options else 1)  # the meter shows itself going to nothing
    sent, seconds, step = b"", 8, 200
    for _ in range(10 * seconds):
        step += 1
        bench.train(1, step, step, total=1000)
        sent += screen.during(0.1)
    assert 0 < len(sent) <= bytes_a_second * seconds


def test_no_color_sends_no_colours_and_still_shows_the_cursor(terminal, bench):
    bench.enqueue("train", "other")
    bench.train(bench.start(), 1, 20)
    screen = terminal(NO_COLOR="1")
    screen.until(b"train")
    screen.press(b"\r")
    sent = (screen.until(b"step") + screen.during(1)).decode("utf-8", "replace")
    codes = {code for sequence in SGR.findall(sent) for code in sequence.split(";")}
    assert codes <= {"", "0", "1", "2", "3", "4", "7", "39", "49"}
    assert "running" in sent


@pytest.mark.parametrize("environment", [{"TUNEDECK_ASCII": "1"}, {"LC_ALL": "C.ISO-8859-1"}])
def test_a_terminal_without_unicode_gets_ascii_only(terminal, bench, environment):
    bench.enqueue("tränen 漢字")
    bench.train(bench.start(), 1, 20)
    screen = terminal(**environment)
    sent = screen.until(b"running")
    screen.press(b"\r")
    sent += screen.until(b"step") + screen.during(1)
    assert sent.isascii()
    assert b"* running" in sent
    assert b"tr?nen ????" in sent


class Shown:
    """What stands on a terminal: only changed cells are sent, so that words do not arrive whole."""

    def __init__(self, terminal):
        self.terminal, self.screen = terminal, pyte.Screen(80, 24)
        self.stream, self.sent = pyte.ByteStream(self.screen), b""

    def sees(self, text, seconds=30):
        deadline = time.monotonic() + seconds
        while not any(text in line for line in self.screen.display):
            assert time.monotonic() < deadline, "\n".join(self.screen.display)
            sent = self.terminal.during(0.05)
            self.sent += sent
            self.stream.feed(sent)


def test_an_editor_gets_the_terminal_and_a_copy_and_what_it_left_is_checked(terminal, database, tmp_path):
    editor = tmp_path / "my editor"
    editor.write_text('#!/bin/sh\necho EDITING\nsed -i s/engine/engin/ "$1"\n')
    editor.chmod(0o755)
    screen = terminal(VISUAL=f"'{editor}'")
    shown = Shown(screen)
    shown.sees("No jobs yet")
    screen.press(b"n")
    shown.sees("smoke/command")
    screen.press(b"/")
    shown.sees("words in name")
    screen.press(b"smoke/command\r")
    shown.sees("argv:")
    screen.press(b"E")
    shown.sees("This recipe has mistakes:")
    assert b"EDITING" in shown.sent
    [copied] = (database.home / "recipes").iterdir()
    assert "engin:" in copied.read_text()
    shown.sees("~command")
