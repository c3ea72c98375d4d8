"""A working day over a slow line: the cockpit in tmux, seen through a link of 64 kbit/s with 300 ms from key to echo.

    python benchmarks/working_day.py [--bits 64000] [--round-trip 0.3] [--size 80x24] [--low-bandwidth]

A person opens the cockpit in tmux, submits the `demo` recipe, watches its curves, detaches, comes back, compares the models,
goes down to an example, copies and exports it, and leaves. For each step: how long until it was to be seen at the far end of
the link, and how many bytes came through. The link is a pseudo-terminal that is read no faster than the rate, with
half of the round trip between either side; at its far end a terminal emulator (pyte) keeps the screen. tmux has a server
of its own, which ends with the script. Seconds count from a step's last key; tmux holds an escape back for half a second,
to see whether more follows.
"""

import argparse
import os
import pty
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pyte
from cockpit_bytes import set_size

SUBMIT_SECONDS, TRAIN_SECONDS = 30.0, 900.0
WATCHED_SECONDS = 60.0


class Link:
    """A terminal at the far end of a slow line: what it shows, how many bytes came, and keys that travel back."""

    def __init__(
        self, argv: list[str], environment: dict[str, str], size: tuple[int, int], bits: float, delay: float
    ) -> None:
        self.pid, self._file = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, environment)
        set_size(self._file, *size)
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._bytes_per_second, self._delay = bits / 8, delay
        self._credit, self._looked_at = 0.0, time.monotonic()
        self._coming: deque[tuple[float, bytes]] = deque()
        self._leaving: deque[tuple[float, bytes]] = deque()
        self.received = 0

    @property
    def text(self) -> str:
        return "\n".join(self._screen.display)

    def pump(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._step()

    def until(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Seconds until it holds on the screen."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                sys.exit(f"waited {seconds:.0f} s in vain for {what}\n{self.text}")
            self._step()
        return time.monotonic() - began

    def press(self, keys: bytes) -> None:
        self._leaving.append((time.monotonic() + self._delay, keys))

    def _step(self) -> None:
        now = time.monotonic()
        # A line that was idle has not saved up: a tenth of a second's worth may come at once.
        self._credit = min(
            self._credit + (now - self._looked_at) * self._bytes_per_second, self._bytes_per_second / 10
        )
        self._looked_at = now
        while self._leaving and self._leaving[0][0] <= now:
            os.write(self._file, self._leaving.popleft()[1])
        readable = select.select([self._file], [], [], 0.01)[0]
        if readable and self._credit >= 1:
            try:
                data = os.read(self._file, int(self._credit))
            except OSError:  # the other side has hung up
                data = b""
                time.sleep(0.01)
            self._credit -= len(data)
            self._coming.append((now + self._delay, data))
        elif readable:
            time.sleep(0.002)
        while self._coming and self._coming[0][0] <= time.monotonic():
            data = self._coming.popleft()[1]
            self.received += len(data)
            self._stream.feed(data)

    def close(self) -> None:
        """The line breaks: what ran on it gets no word."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._file)


class Day:
    """Opens links one after another and writes down what each step cost."""

    def __init__(self, home: Path, options: argparse.Namespace) -> None:
        self._options = options
        columns, lines = options.size.split("x")
        self._size = int(columns), int(lines)
        self._socket = str(home / "tmux")
        self.tmux = ["tmux", "-S", self._socket, "-f", "/dev/null"]
        self.environment = os.environ | {
            "TUNEDECK_HOME": str(home / "home"),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
        }
        self.environment.pop("TMUX", None)

    def connect(self, *command: str) -> None:
        argv = [*self.tmux, *command]
        self.link = Link(argv, self.environment, self._size, self._options.bits, self._options.round_trip / 2)

    def step(self, name: str, keys: bytes, *parts: str, seconds: float = SUBMIT_SECONDS) -> None:
        """Presses keys one by one, and waits for the last's answer."""
        for key in (keys[at : at + 1] for at in range(len(keys) - 1)):
            self.link.press(key)
            self.link.pump(0.3)
        before = self.link.received
        self.link.press(keys[-1:])
        took = self.link.until(lambda: all(part in self.link.text for part in parts), seconds, f"{parts}")
        # What else belongs to the frame.
        self.link.pump(0.5)
        self.tell(name, took, self.link.received - before)

    def watch(self, name: str, seconds: float) -> None:
        before = self.link.received
        self.link.pump(seconds)
        received = self.link.received - before
        self.tell(name, seconds, received, f"{received / seconds:,.0f} bytes/s")

    def tell(self, name: str, seconds: float, received: int, note: str = "") -> None:
        print(f"{name:<44} {seconds:>8.2f} {received:>9,}   {note}", flush=True)


def live(day: Day, cockpit: list[str]) -> None:
    began = time.monotonic()
    day.connect("new-session", "-s", "day", *cockpit)
    day.step("open the cockpit", b" ", "No jobs yet", "Quit")
    day.step("look at the recipes", b"n", "7 jobs", "s or enter submits")
    day.step("search for `demo`", b"/demo\r", "demo", "s Submit")
    day.step("submit", b"s", "Queue 7 jobs of demo?")
    day.step("confirm; the queue", b"y", "demo: base")
    day.step("filter it", b"/full engine:sft\r", "2 jobs", "filter full")
    day.link.until(lambda: "● running" in day.link.text, TRAIN_SECONDS, "the first of them")
    day.step("open the job that trains", b"g\r", "Curves", "━ loss")
    day.watch("watch its curves", WATCHED_SECONDS / 2)
    day.step("its log", b"2", "▸2 Log")
    day.step("back to the queue", b"\x7f", "by activity")
    day.step("take the filter away", b"\x1b", "7 jobs")
    before = day.link.received
    day.link.press(b"\x02")
    day.link.press(b"d")
    took = day.link.until(lambda: "detached" in day.link.text, SUBMIT_SECONDS, "the end of tmux's client")
    day.tell("detach from tmux", took, day.link.received - before)
    day.link.close()
    day.connect("attach")
    day.step("reattach", b"j", "by activity", "demo")
    day.watch("watch the queue", WATCHED_SECONDS)
    took = day.link.until(lambda: "7 done" in day.link.text, TRAIN_SECONDS, "the last job")
    day.link.close()
    day.connect("attach")
    day.step("the line broke; reattach", b"k", "7 done")
    day.step("compare all of them", b"Av", "p (Holm)", "Of 500 questions")
    day.step("choose the best", b"jjj", "full[train_samples=2048] is better than")
    day.step("go down to its examples", b"\r", "1 of ", "right")
    day.step("the next one", b"n", "2 of ")
    day.step("copy it", b"y", "was copied")
    day.step("back to the comparison", b"\x7f", "p (Holm)")
    day.step("export it", b"e\r", "Written")
    day.step("quit", b"\x7fq", "[exited]")
    print(f"\nall of it: {time.monotonic() - began:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bits", type=float, default=64_000, help="a second, of the line")
    parser.add_argument("--round-trip", type=float, default=0.3, help="seconds")
    parser.add_argument("--size", default="80x24")
    parser.add_argument("--low-bandwidth", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        day = Day(Path(folder), options)
        tunedeck = [sys.executable, "-P", "-m", "cockpit"]
        print(f"{options.bits / 1000:g} kbit/s, {options.round_trip * 1000:g} ms, {options.size}\n")
        print(f"{'step':<44} {'seconds':>8} {'bytes':>9}")
        try:
            live(day, [*tunedeck, *(["--low-bandwidth"] if options.low_bandwidth else [])])
        finally:
            subprocess.run([*day.tmux, "kill-server"], env=day.environment, capture_output=True, check=False)
            subprocess.run(
                [*tunedeck, "down", "--stop-jobs"], env=day.environment, capture_output=True, check=False
            )


if __name__ == "__main__":
    main()
