"""The queue against task-spooler on the same machine: submit to start, and 1,000 trivial jobs at two slots.

    python benchmarks/queue_latency.py [--jobs 1000] [--single 50]

task-spooler (`tsp`, Debian's package) is left out where it is not installed. Start-up of either command line is not in
the figures for Tunedeck: jobs are enqueued through the store, as the TUI does; `tsp` has no other way in.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from engines.command import Recipe
from store import jobs, lifecycle, machine, results
from store.database import Database, open_database
from store.lifecycle import NewJob
from store.schema import Status


def trivial(name: str) -> NewJob:
    recipe = Recipe.model_validate({"engine": "command", "argv": ["true"]})
    return NewJob(name, "command", recipe.model_dump(mode="json", by_alias=True))


def wait(condition: Callable[[], bool], pause: float = 0.002) -> None:
    while not condition():
        time.sleep(pause)


def tunedeck(single: int, many: int) -> tuple[float, float]:
    """Milliseconds from submit to start at the median, and jobs a second."""
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder))
        log = (Path(folder) / "daemon.log").open("w")
        argv = [sys.executable, "-P", "-m", "daemon", "--home", folder, "--cpu-slots", "2"]
        daemon = subprocess.Popen(argv, stderr=log)
        wait(lambda: machine.get_daemon(database) is not None)
        try:
            waits = [submit_to_start(database, i) for i in range(single)]
            started = time.perf_counter()
            lifecycle.enqueue(database, "many", [trivial(f"j{i}") for i in range(many)])
            machine.nudge(database.home)
            # Asked seldom: the cores are for the queue, and task-spooler is asked once.
            wait(lambda: jobs.count_by_status(database).get(Status.SUCCEEDED, 0) == single + many, pause=0.05)
            rate = many / (time.perf_counter() - started)
        finally:
            daemon.terminate()
            daemon.wait()
            log.close()
            database.close()
    return 1000 * median(waits), rate


def submit_to_start(database: Database, number: int) -> float:
    """Seconds until the supervisor had started the worker."""
    submitted = time.time()
    _, [job_id] = lifecycle.enqueue(database, f"one-{number}", [trivial("a")])
    machine.nudge(database.home)
    wait(lambda: jobs.get_job(database, job_id).is_final)
    (attempt,) = results.list_attempts(database, job_id)
    assert attempt.started_at is not None
    return attempt.started_at - submitted


def task_spooler(single: int, many: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "TS_SOCKET": f"{folder}/socket",
            "TMPDIR": folder,
            "TS_MAXFINISHED": "10000",
        }

        def tsp(*arguments: str) -> str:
            return subprocess.run(
                ["tsp", *arguments], env=environment, capture_output=True, text=True, check=True
            ).stdout

        try:
            tsp("-S", "2")
            waits = []
            for _ in range(single):
                mark = Path(folder) / "mark"
                mark.unlink(missing_ok=True)
                submitted = time.time()
                # The clock of file times is too coarse: the job itself says when it started.
                tsp("-n", "sh", "-c", f"date +%s.%N > {mark}.new && mv {mark}.new {mark}")
                wait(mark.exists)
                waits.append(float(mark.read_text()) - submitted)
            started = time.perf_counter()
            for _ in range(many):
                tsp("-n", "true")
            tsp("-w")
            wait(lambda: not any(word in tsp() for word in (" queued ", " running ")))
            rate = many / (time.perf_counter() - started)
        finally:
            tsp("-K")
    return 1000 * median(waits), rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--single", type=int, default=50)
    arguments = parser.parse_args()
    latency, rate = tunedeck(arguments.single, arguments.jobs)
    print(f"{'queue':<14} {'submit to start, ms':>20} {'jobs/s, 2 slots':>16}")
    print(f"{'tunedeck':<14} {latency:>20.0f} {rate:>16.1f}")
    if shutil.which("tsp"):
        theirs, their_rate = task_spooler(arguments.single, arguments.jobs)
        print(f"{'task-spooler':<14} {theirs:>20.0f} {their_rate:>16.1f}")
        print(f"{'ratio':<14} {latency / theirs:>19.1f}x {rate / their_rate:>15.2f}x")
    else:
        print("task-spooler   not installed")


if __name__ == "__main__":
    main()
