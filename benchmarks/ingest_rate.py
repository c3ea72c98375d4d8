"""Eight jobs that log 20,000 values a second between them, one daemon, and people who watch: who waits for whom?

    python benchmarks/ingest_rate.py [--seconds 120] [--jobs 8] [--rate 20000] [--cockpits 4]

Each job logs steps of ten values at its share of the rate and notes how long each call took. Beside them run cockpits
behind pseudo-terminals, half on the queue and half on a job with growing curves, and a reader that asks the store for
the newest points ten times a second. At the end every row is counted; whoever met a locked database is counted too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

from cockpit_bytes import Screen

from engines.command import Recipe
from store import jobs, lifecycle, machine, metrics
from store.database import Database, StoreError, open_database
from store.lifecycle import NewJob
from store.schema import Status

VALUES = 10
WORKER = """
import json, os, sys, time
from pathlib import Path
from engines.events import EventWriter
seconds, rate = float(sys.argv[1]), float(sys.argv[2])
run_dir = Path(os.environ["TUNEDECK_RUN_DIR"])
names = ["loss", "grad_norm", "learning_rate", "entropy", "epoch", "a", "b", "c", "d", "e"]
with_clock, taken, step = time.perf_counter, [], 0
writer, begun = EventWriter(run_dir), time.perf_counter()
while (now := with_clock() - begun) < seconds:
    while step < now * rate:
        step += 1
        before = with_clock()
        writer.metrics(step, {name: 1.0 / step + place for place, name in enumerate(names)})
        taken.append(with_clock() - before)
    time.sleep(0.01)
writer.close()
taken.sort()
(run_dir / "taken.json").write_text(json.dumps([step, taken[len(taken) // 2], taken[len(taken) * 99 // 100], taken[-1]]))
"""


def worker(number: int, seconds: float, steps: float) -> NewJob:
    argv = [sys.executable, "-P", "-c", WORKER, str(seconds), str(steps)]
    recipe = Recipe.model_validate({"engine": "command", "argv": argv})
    return NewJob(f"writer-{number}", "command", recipe.model_dump(mode="json", by_alias=True))


def watch(screens: list[Screen], stop: threading.Event) -> None:
    """Opens a job on every other cockpit and takes what they send."""
    for screen in screens:
        screen.until(b"running")
    for screen in screens[::2]:
        os.write(screen.file, b"\r")
    while not stop.is_set():
        for screen in screens:
            screen.during(0.05)


def read(
    database: Database, ids: list[int], stop: threading.Event, taken: list[float], refused: list[str]
) -> None:
    """A reader of charts and of the queue."""
    while not stop.is_set():
        began = time.perf_counter()
        try:
            for job_id in ids:
                metrics.chart(database, job_id, "loss", 160)
            jobs.list_jobs(database)
        except StoreError as error:
            refused.append(str(error))
        taken.append(time.perf_counter() - began)
        stop.wait(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--rate", type=float, default=20_000)
    parser.add_argument("--cockpits", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        database = open_database(home)
        argv = [sys.executable, "-P", "-m", "daemon", "--home", folder, "--cpu-slots", str(arguments.jobs)]
        with (home / "daemon.log").open("w") as log:
            daemon = subprocess.Popen(argv, stderr=log)
        each = arguments.rate / arguments.jobs / VALUES
        new = [worker(number, arguments.seconds, each) for number in range(arguments.jobs)]
        _, ids = lifecycle.enqueue(database, "writers", new)
        machine.nudge(home)
        while jobs.count_by_status(database).get(Status.RUNNING, 0) < arguments.jobs:
            time.sleep(0.05)
        screens = [Screen(home, 80, 24) for _ in range(arguments.cockpits)]
        stop = threading.Event()
        reads: list[float] = []
        refused: list[str] = []
        threads = [
            threading.Thread(target=watch, args=(screens, stop)),
            threading.Thread(target=read, args=(open_database(home), ids, stop, reads, refused)),
        ]
        for thread in threads:
            thread.start()
        written = [home / "runs" / str(job_id) / "taken.json" for job_id in ids]
        while not all(path.exists() for path in written):
            time.sleep(0.02)
        ended = time.perf_counter()
        while jobs.count_by_status(database).get(Status.SUCCEEDED, 0) < arguments.jobs:
            time.sleep(0.02)
        behind = time.perf_counter() - ended
        stop.set()
        for thread in threads:
            thread.join()
        alive = sum(os.waitpid(screen.pid, os.WNOHANG)[0] == 0 for screen in screens)
        for screen in screens:
            screen.close()
        report(database, ids, written, arguments.seconds, behind, reads, refused, alive)
        machine.request_stop(database)
        machine.nudge(home)
        daemon.wait(timeout=60)


def report(
    database: Database,
    ids: list[int],
    written: list[Path],
    seconds: float,
    behind: float,
    reads: list[float],
    refused: list[str],
    alive: int,
) -> None:
    logged = [json.loads(path.read_text()) for path in written]
    rows = sum(steps for steps, *_ in logged) * VALUES
    stored = sum(series.length for series in metrics.list_series(database, ids))
    logs = [database.home / "daemon.log", *database.home.glob("*.log")]
    locked = sum(path.read_text(errors="replace").count("locked") for path in set(logs))
    print(f"{'logged':<44} {rows / seconds:>12,.0f} rows/s")
    print(f"{'stored, of those logged':<44} {stored / rows:>12.6f}")
    print(f"{'from the last row to all stored':<44} {behind:>12.2f} s")
    for name, place, pick in (("median", 1, median), ("99th percentile", 2, max), ("longest", 3, max)):
        print(f"{f'a call of the logger, {name}':<44} {1e3 * pick([row[place] for row in logged]):>12.3f} ms")
    print(f"{'a read of 8 charts and the queue, median':<44} {1e3 * median(reads):>12.1f} ms")
    print(f"{'a read of 8 charts and the queue, longest':<44} {1e3 * max(reads):>12.1f} ms")
    print(f"{'`database is locked`, readers and daemon':<44} {len(refused) + locked:>12}")
    print(f"{'cockpits still running at the end':<44} {alive:>12}")


if __name__ == "__main__":
    main()
