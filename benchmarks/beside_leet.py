"""The cockpit beside W&B LEET, the terminal viewer in the wandb wheel, on the same curve in the same run.

    python benchmarks/beside_leet.py --python PYTHON_WITH_WANDB [--rows 1000000] [--columns 80] [--lines 24]

Both sides get one metric with so many rows and then ten more a second, written the way their users write them: a job of
a daemon here, an offline run there. Each viewer runs alone behind a pseudo-terminal. "First curve" is the first braille
dot; "all of it" is when it has stopped working for a second; idle is while nothing is logged, live while ten rows a
second arrive. CPU and memory are those of the viewer's whole process tree; for us the daemon's CPU stands beside it.
"""

import argparse
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engines.command import Recipe
from store import jobs, lifecycle, machine
from store.database import open_database
from store.lifecycle import NewJob

TICKS = os.sysconf("SC_CLK_TCK")
BRAILLE = tuple(bytes([0xE2, third]) for third in range(0xA0, 0xA4))
QUIET_SECONDS = 1.0
QUIET_SHARE = 0.15
"""Of a core: below it for a second, a viewer has shown what there is."""
IDLE_SECONDS = LIVE_SECONDS = 15.0

# Both writers: all rows at once, then ten a second for as long as the file `live` is there.
OURS = """
import math, os, sys, time
from pathlib import Path
from engines.events import EventWriter
rows, folder = int(sys.argv[1]), Path(sys.argv[2])
writer, step = EventWriter(Path(os.environ["TUNEDECK_RUN_DIR"])), 0
def log():
    global step
    step += 1
    writer.metrics(step, {"loss": math.exp(-5 * step / rows) + 0.05 * math.sin(step * 7)})
while step < rows: log()
(folder / "written").touch()
while True:
    if (folder / "live").exists(): log()
    time.sleep(0.1)
"""
THEIRS = """
import math, os, sys, time
from pathlib import Path
os.environ |= {"WANDB_SILENT": "true", "WANDB_MODE": "offline"}
import wandb
rows, folder = int(sys.argv[1]), Path(sys.argv[2])
run = wandb.init(project="bench", dir=folder, settings=wandb.Settings(x_disable_stats=True, console="off"))
step = 0
def log():
    global step
    step += 1
    run.log({"loss": math.exp(-5 * step / rows) + 0.05 * math.sin(step * 7)})
while step < rows: log()
(folder / "written").write_text(run.settings.sync_dir)
while True:
    if (folder / "live").exists(): log()
    time.sleep(0.1)
"""


@dataclass
class Figures:
    """What one viewer needed."""

    first_curve: float
    complete: float
    complete_cpu: float
    memory: float
    idle_share: float
    idle_bytes: float
    live_share: float
    live_bytes: float
    writer_share: float = 0.0


class Viewer:
    """A process behind a pseudo-terminal, and all that it starts."""

    def __init__(self, argv: list[str], environment: dict[str, str], columns: int, lines: int) -> None:
        self.began = time.monotonic()
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.execvpe(
                argv[0],
                argv,
                os.environ
                | environment
                | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"},
            )
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float) -> bytes:
        ready, _, _ = select.select([self.file], [], [], seconds)
        sent = os.read(self.file, 1 << 20) if ready else b""
        self._answer(sent)
        return sent

    def _answer(self, sent: bytes) -> None:
        """A terminal answers what it is asked: its background, the cursor's place, its abilities."""
        if b"\x1b[6n" in sent:
            os.write(self.file, b"\x1b[1;1R")
        if b"\x1b]11;?" in sent:
            os.write(self.file, b"\x1b]11;rgb:0000/0000/0000\x1b\\")
        if b"\x1b[c" in sent:
            os.write(self.file, b"\x1b[?62;22c")

    def during(self, seconds: float) -> int:
        """Bytes sent meanwhile."""
        count, end = 0, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            count += len(self.read(min(left, 0.1)))
        return count

    def first_curve(self) -> float:
        seen = b""
        while not any(mark in seen for mark in BRAILLE):
            seen = seen[-8:] + self.read(0.01)
        return time.monotonic() - self.began

    def complete(self) -> float:
        """Seconds from the start until the last work before a second of rest."""
        done = time.monotonic()
        before = tree_cpu(self.pid)
        while time.monotonic() - done < QUIET_SECONDS:
            self.during(0.1)
            now = tree_cpu(self.pid)
            if now - before > QUIET_SHARE * 0.1:
                done = time.monotonic()
            before = now
        return done - self.began

    def close(self) -> None:
        for pid in tree(self.pid):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.file)


def tree(root: int) -> list[int]:
    """A process and its descendants."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def tree_cpu(root: int) -> float:
    """CPU seconds of a process, its living descendants, and those that it has waited for."""
    total = 0
    for pid in tree(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS


def tree_memory(root: int) -> float:
    """Resident MB."""
    total = 0
    for pid in tree(root):
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.partition("VmRSS:")[2].split()[0])
    return total / 1024


def watch(viewer: Viewer, folder: Path, writer: int) -> Figures:
    """Opens, settles, idles, lives."""
    first = viewer.first_curve()
    complete = viewer.complete()
    cpu = tree_cpu(viewer.pid)
    before = time.monotonic()
    idle_bytes = viewer.during(IDLE_SECONDS) / IDLE_SECONDS
    idle = (tree_cpu(viewer.pid) - cpu) / (time.monotonic() - before)
    (folder / "live").touch()
    viewer.during(3)  # the writers' own buffers fill
    cpu, writer_cpu, before = tree_cpu(viewer.pid), tree_cpu(writer), time.monotonic()
    live_bytes = viewer.during(LIVE_SECONDS) / LIVE_SECONDS
    took = time.monotonic() - before
    live, writing = (tree_cpu(viewer.pid) - cpu) / took, (tree_cpu(writer) - writer_cpu) / took
    (folder / "live").unlink()
    memory = tree_memory(viewer.pid)
    return Figures(first, complete, cpu, memory, idle, idle_bytes, live, live_bytes, writing)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.1)


@contextmanager
def our_run(rows: int, folder: Path) -> Iterator[tuple[list[str], dict[str, str], int]]:
    """A daemon and a job that logs. Gives the viewer's argv, its environment, and the daemon's pid."""
    database = open_database(folder)
    with (folder / "daemon.log").open("w") as log:
        daemon = subprocess.Popen([sys.executable, "-P", "-m", "daemon", "--home", str(folder)], stderr=log)
    argv = [sys.executable, "-P", "-c", OURS, str(rows), str(folder)]
    recipe = Recipe.model_validate({"engine": "command", "argv": argv}).model_dump(mode="json", by_alias=True)
    _, [job_id] = lifecycle.enqueue(database, "bench", [NewJob("curve", "command", recipe)])
    machine.nudge(folder)
    wait_for(folder / "written")
    events = database.run_dir(job_id) / "events.jsonl"
    while jobs.get_job(database, job_id).events_offset < events.stat().st_size:
        time.sleep(0.2)
    try:
        code = "import sys; from pathlib import Path; from cockpit.app import run; run(Path(sys.argv[1]))"
        yield [sys.executable, "-c", code, str(folder)], {"TUNEDECK_HOME": str(folder)}, daemon.pid
    finally:
        machine.request_stop(database, stop_jobs=True)
        machine.nudge(folder)
        daemon.wait(timeout=120)
        database.close()


@contextmanager
def their_run(python: str, rows: int, folder: Path) -> Iterator[tuple[list[str], dict[str, str], int]]:
    writer = subprocess.Popen([python, "-c", THEIRS, str(rows), str(folder)], start_new_session=True)
    wait_for(folder / "written")
    time.sleep(5)  # wandb writes behind
    run = (folder / "written").read_text()
    try:
        yield [str(Path(python).parent / "wandb"), "leet", run], {"WANDB_CONFIG_DIR": str(folder)}, writer.pid
    finally:
        os.killpg(writer.pid, signal.SIGKILL)
        writer.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the Python of an environment that has wandb")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("--lines", type=int, default=24)
    arguments = parser.parse_args()
    size = arguments.columns, arguments.lines
    found = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with our_run(arguments.rows, folder) as (argv, environment, daemon):
            viewer = Viewer(argv, environment, *size)
            while b"running" not in viewer.read(0.01):
                pass
            os.write(viewer.file, b"\r")  # LEET opens on its curves, we on the queue
            found["tunedeck"] = watch(viewer, folder, daemon)
            viewer.close()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        their_run(arguments.python, arguments.rows, Path(name)) as (argv, environment, writer),
    ):
        viewer = Viewer(argv, environment, *size)
        found["LEET"] = watch(viewer, Path(name), writer)
        viewer.close()
    show(found, arguments.rows, *size)


def show(found: dict[str, Figures], rows: int, columns: int, lines: int) -> None:
    ours, theirs = found["tunedeck"], found["LEET"]
    print(f"{rows:,} rows, {columns}x{lines}")
    print(f"{'':<34}{'tunedeck':>12}{'LEET':>12}")
    for name, unit, scale, digits in ROWS:
        values = [scale * getattr(figures, name) for figures in (ours, theirs)]
        print(f"{unit:<34}" + "".join(f"{value:>12.{digits}f}" for value in values))
    print(f"{'daemon while live, % of a core':<34}{100 * ours.writer_share:>12.1f}{'-':>12}")


ROWS = (
    ("first_curve", "first curve, s", 1, 2),
    ("complete", "all of it, s", 1, 2),
    ("complete_cpu", "CPU until then, s", 1, 2),
    ("memory", "memory, MB", 1, 0),
    ("idle_share", "idle, % of a core", 100, 1),
    ("idle_bytes", "idle, bytes/s", 1, 0),
    ("live_share", "live, % of a core", 100, 1),
    ("live_bytes", "live, bytes/s", 1, 0),
)


if __name__ == "__main__":
    main()
