"""The cockpit on a long queue: its share of a core while four jobs log, and how soon a key shows.

    python benchmarks/cockpit_load.py [--jobs 10000] [--seconds 20] [--size 80x24]

Four of the jobs run and log a point and their progress each second, as a daemon would write them: from another process.
Each view of the queue is timed for itself: as it opens, by accuracy, filtered, and as a tree of experiments. A key is
answered when the first bytes come back; the keys are down, page down, and the ends of the list.
"""

import argparse
import fcntl
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cockpit_bytes import Screen

from store import machine, paths
from store.database import Database, open_database
from store.lifecycle import NewJob, Outcome, claim, enqueue, finish, mark_running
from store.records import record
from store.schema import Status

RUNNING, KEYS = 4, (b"j", b"j", b"k", b"\x1b[6~", b"j", b"\x1b[5~", b"G", b"g")
RECIPE = {
    "engine": "sft",
    "model": {"base": "pocket"},
    "train_samples": 256,
    "prompt": {"system": "x" * 1500},
}
VIEWS = (
    ("as it opens", b""),
    ("by accuracy", b"ojjjjjjj\r"),
    ("filter acc>0.3 /seed/", b"/acc>0.3 /seed/\r"),
    ("by experiment", b"e"),
    ("by experiment, all open", b"eZ"),
)
LOG = "import sys; sys.path.insert(0, sys.argv[3]); from cockpit_load import log; log(sys.argv[1], float(sys.argv[2]))"


def fill(database: Database, count: int, size: int) -> None:
    """Experiments of `size` jobs; every fifth job is done and scored, four run."""
    for first in range(0, count, size):
        new = [NewJob(f"full seed={first + i}", "sft", RECIPE) for i in range(min(size, count - first))]
        enqueue(database, f"sweep-{first // size}", new)
    now = time.time()
    for number in range(count // 5 + RUNNING):
        claimed = claim(database, count, [])
        assert claimed is not None
        job_id = claimed[0].id
        mark_running(database, job_id, {"started_at": now - 600})
        if number < count // 5:
            score = {"kind": "score", "time": now, "name": "strict", "value": (number % 97) / 97}
            record(database, job_id, 0, 1, [score])
            finish(database, job_id, Outcome(Status.SUCCEEDED, 0, None, ended_at=now - number % 300))


def log(home: str, seconds: float) -> None:
    """What the daemon writes of jobs that run: a point and the progress of each, every second."""
    database = open_database(Path(home))
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT id, events_offset FROM jobs WHERE status = 'running'").all()
    offsets = {row[0]: row[1] for row in rows}
    began = time.monotonic()
    step = 0
    while time.monotonic() - began < seconds:
        step += 1
        for job_id, offset in offsets.items():
            now = time.time()
            events = [
                {
                    "kind": "metrics",
                    "time": now,
                    "step": offset + step,
                    "values": {"loss": 2 / (offset + step)},
                },
                {"kind": "progress", "time": now, "done": offset + step, "total": 5000, "unit": "step"},
            ]
            record(database, job_id, offset + step - 1, offset + step, events)
        time.sleep(max(began + step - time.monotonic(), 0))


def answer(screen: Screen, key: bytes) -> float | None:
    """Milliseconds from a key to the first byte that it paints; None where it changes nothing, as at an end of the list."""
    while select.select([screen.file], [], [], 0.15)[0]:
        os.read(screen.file, 65536)
    began = time.perf_counter()
    os.write(screen.file, key)
    painted = select.select([screen.file], [], [], 1.0)[0]
    return 1000 * (time.perf_counter() - began) if painted else None


def measure(database: Database, name: str, keys: bytes, size: tuple[int, int], seconds: float) -> None:
    screen = Screen(database.home, *size)
    screen.until(b"running")
    screen.during(1)
    for key in keys:  # one by one: a picker has to open before it can be used
        os.write(screen.file, bytes([key]))
        screen.during(0.15)
    screen.during(3)
    idle = len(screen.during(5))
    here = str(Path(__file__).parent)
    logger = subprocess.Popen([sys.executable, "-c", LOG, str(database.home), str(seconds + 60), here])
    screen.during(3)
    cpu = screen.cpu_seconds()
    sent = len(screen.during(seconds))
    share = (screen.cpu_seconds() - cpu) / seconds
    answers = [answer(screen, key) for _ in range(6) for key in KEYS]
    taken = sorted(one for one in answers if one is not None)
    logger.kill()
    logger.wait()
    screen.close()
    p50, p95 = statistics.median(taken), taken[int(len(taken) * 0.95)]
    print(
        f"{name}: {share:.1%} of a core, {sent / seconds:,.0f} bytes/s, {idle} bytes in 5 s when idle;"
        f" key to paint p50 {p50:.0f} ms, p95 {p95:.0f} ms"
        f" ({len(taken)} of {len(answers)} keys changed something)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--experiment", type=int, default=100, help="jobs of each experiment")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--size", default="80x24")
    chosen = parser.parse_args()
    columns, lines = map(int, chosen.size.split("x"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        database = open_database(Path(folder))
        fill(database, chosen.jobs, chosen.experiment)
        # To the cockpit, a daemon is there: it forecasts the queue.
        machine.announce(database, RUNNING, [])
        lock = os.open(paths.daemon_lock(database.home), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        print(f"{chosen.jobs:,} jobs, {RUNNING} of them running, {columns}x{lines}")
        for name, keys in VIEWS:
            (database.home / "view.json").unlink(missing_ok=True)
            measure(database, name, keys, (columns, lines), chosen.seconds)
        database.close()


if __name__ == "__main__":
    main()
