"""What the cockpit sends down the line, counted behind a pseudo-terminal: the budget of a 64 kbit/s connection."""

import fcntl
import math
import os
import pty
import select
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from store.database import Database

LINES, COLUMNS = 24, 80
WATCHED_SECONDS = 8.0


class Line:
    """The terminal's end of the connection."""

    def __init__(self, file: int) -> None:
        self.file = file

    def read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self.file], [], [], seconds)
        return os.read(self.file, 1 << 16) if ready else b""

    def until(self, text: bytes) -> None:
        seen, end = b"", time.monotonic() + 60
        while text not in seen:
            seen += self.read(0.05)
            assert time.monotonic() < end, seen[-2000:]

    def settle(self) -> None:
        """Until nothing has come for a second."""
        while self.read(1.0):
            pass

    def during(self, seconds: float) -> int:
        count, end = 0, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            count += len(self.read(left))
        return count


@contextmanager
def cockpit(home: Any, *options: str) -> Iterator[Line]:
    argv = [sys.executable, "-P", "-m", "cockpit", "--read-only", *options]
    pid, file = pty.fork()
    if pid == 0:
        # No colour is left out, and no daemon is started: the store alone moves.
        os.environ |= {"TUNEDECK_HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.execv(argv[0], argv)
    fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    try:
        yield Line(file)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(file)


@contextmanager
def training(bench: Any, job: int) -> Iterator[None]:
    """Ten steps a second, of a loss that shakes, as losses do."""
    stop = threading.Event()

    def log() -> None:
        step = 200
        while not stop.wait(0.1):
            step += 1
            loss = 2 * math.exp(-step / 60) + 0.1 + 0.05 * math.sin(step * 7)
            bench.record(job, {"kind": "metrics", "step": step, "values": {"loss": loss}})
            bench.record(job, {"kind": "progress", "done": step, "total": 1000, "unit": "step"})

    thread = threading.Thread(target=log)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize(("options", "bytes_a_second"), [((), 4096), (("--low-bandwidth",), 1024)])
def test_a_live_curve_stays_within_the_budget_and_silence_costs_nothing(
    database: Database, bench: Any, options: tuple[str, ...], bytes_a_second: int
) -> None:
    bench.enqueue("a", "b")
    job = bench.start()
    bench.train(job, 1, 200, total=1000)
    with cockpit(database.home, *options) as line:
        line.until(b"running")
        os.write(line.file, b"\r")
        line.until(b"step")
        line.settle()
        if options:
            # The meter itself goes to nothing first.
            line.during(12)
        assert line.during(4) == 0
        with training(bench, job):
            sent = line.during(WATCHED_SECONDS)

    assert 0 < sent <= bytes_a_second * WATCHED_SECONDS
