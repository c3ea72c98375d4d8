"""The cockpit in a pseudo-terminal: time to its first rows with 1,000 jobs, and bytes sent while a curve grows.

python benchmarks/cockpit_bytes.py
"""

import fcntl
import math
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from store.database import Database, open_database
from store.lifecycle import NewJob, claim, enqueue, mark_running
from store.records import record

JOBS, SIZES, REFRESHES = 1000, ((80, 24), (200, 50)), 10
OPEN = "import sys; from pathlib import Path; from cockpit.app import run; run(Path(sys.argv[1]))"


class Screen:
    """A cockpit behind a pseudo-terminal."""

    def __init__(self, home: Path, columns: int, lines: int) -> None:
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
            os.execv(sys.executable, [sys.executable, "-c", OPEN, str(home)])
        set_size(self.file, columns, lines)

    def until(self, text: bytes) -> bytes:
        sent = b""
        while text not in sent:
            sent += self._read(0.01)
        return sent

    def during(self, seconds: float) -> bytes:
        sent, end = b"", time.monotonic() + seconds
        while time.monotonic() < end:
            sent += self._read(0.02)
        return sent

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self.file], [], [], seconds)
        return os.read(self.file, 65536) if ready else b""

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.file)


def set_size(file: int, columns: int, lines: int) -> None:
    """Tells a pseudo-terminal how large its window is."""
    fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder))
        job_id, offset = _fill(database)
        for columns, lines in SIZES:
            offset = growing_curve(database, job_id, offset, columns, lines)


def growing_curve(database: Database, job_id: int, offset: int, columns: int, lines: int) -> int:
    """A job's screen, idle and while a point a second arrives. Returns the offset of the job's events."""
    screen = Screen(database.home, columns, lines)
    screen.until(b"running")
    screen.during(1)
    os.write(screen.file, b"\r")
    screen.until(b"step")
    screen.during(2)
    idle = len(screen.during(5))
    sizes, cpu = [], screen.cpu_seconds()
    for _ in range(REFRESHES):
        _log(database, job_id, offset)
        offset += 1
        sizes.append(len(screen.during(1)))
    share = (screen.cpu_seconds() - cpu) / REFRESHES
    screen.close()
    print(
        f"{columns}x{lines}: idle {idle} bytes in 5 s; a growing curve {statistics.mean(sizes):,.0f} bytes a refresh"
        f" (at most {max(sizes):,}), {share:.1%} of a core"
    )
    return offset


def _fill(database: Database) -> tuple[int, int]:
    enqueue(
        database, "sweep", [NewJob(f"full seed={index}", "sft", {"engine": "sft"}) for index in range(JOBS)]
    )
    claimed = claim(database, 1, [])
    assert claimed is not None
    job_id = claimed[0].id
    mark_running(database, job_id, {"started_at": time.time() - 60})
    for offset in range(120):
        _log(database, job_id, offset)
    return job_id, 120


def _log(database: Database, job_id: int, offset: int) -> None:
    step = offset + 1
    loss = 0.3 + 2 * math.exp(-step / 60) + 0.05 * math.sin(step * 7)
    now = time.time()
    events = [
        {"kind": "metrics", "time": now, "step": step, "values": {"loss": loss}},
        {"kind": "progress", "time": now, "done": step, "total": 200, "unit": "step"},
    ]
    record(database, job_id, offset, offset + 1, events)


if __name__ == "__main__":
    main()
