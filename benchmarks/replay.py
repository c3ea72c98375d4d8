"""Stepping through the past of a large store: what a step costs until all that the queue shows is read.

    python benchmarks/replay.py [--jobs 10000] [--points 1000000]

Jobs run ten at a time, a thousand seconds each, one of them with half of all points. Each figure is the median of steps to
moments all over their time, in milliseconds of CPU; beside it, the same reads of the present.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cockpit.figures import Pace
from cockpit.health_reads import HealthCheck
from cockpit.queue_view import QueueView
from cockpit.reads import read_curves, read_job, read_queue, read_slots
from store import metrics
from store.database import Database, open_database
from store.lifecycle import NewJob, enqueue
from store.past import Past

START, SECONDS, SLOTS = 1_790_000_000.0, 1000.0, 10
STEPS = 15
RECIPE = {"engine": "sft", "model": {"base": "pocket"}, "prompt": {"system": "x" * 1500}}


def fill(database: Database, jobs: int, points: int) -> int:
    """Jobs that were submitted at once and ran one after the other; returns the one with the long curve."""
    enqueue(database, "sweep", [NewJob(f"seed={i}", "sft", RECIPE) for i in range(jobs)])
    large, each = jobs // 2 + 1, points // 2 // jobs
    with database.write() as connection:
        run = connection.exec_driver_sql
        for table, column in (("experiments", "created_at"), ("jobs", "created_at"), ("transitions", "time")):
            run(f"UPDATE {table} SET {column} = ?", (START,))
        for job in range(1, jobs + 1):
            begin = START + (job - 1) // SLOTS * SECONDS
            end = begin + SECONDS - 10
            for at, old, new, reason in (
                (begin, "queued", "starting", "claimed"),
                (begin + 1, "starting", "running", None),
                (end, "running", "succeeded", None),
            ):
                run("INSERT INTO transitions (job_id, time, from_status, to_status, attempt, reason)"
                    " VALUES (?, ?, ?, ?, 1, ?)", (job, at, old, new, reason))  # fmt: skip
            run("INSERT INTO attempts (job_id, number, claimed_at, started_at, ended_at, exit_code, devices)"
                " VALUES (?, 1, ?, ?, ?, 0, '[]')", (job, begin, begin + 1, end))  # fmt: skip
            run("UPDATE jobs SET status = 'succeeded', attempt = 1, started_at = ?, ended_at = ?, exit_code = 0,"
                " progress_done = 100, progress_total = 100, progress_unit = 'step', progress_at = ? WHERE id = ?",
                (begin + 1, end, end, job))  # fmt: skip
            count = points // 2 if job == large else each
            rate = (end - begin) / max(count, 1)
            metrics.append(
                connection, job, 1, [("loss", k, 1 / (k + 1), begin + k * rate) for k in range(count)]
            )
    return large


def cost(read: Callable[[], object]) -> float:
    began = time.thread_time()
    read()
    return 1000 * (time.thread_time() - began)


def travel(past: Database) -> None:
    with past.read():
        pass


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, closing(open_database(Path(folder))) as present:
        large = fill(present, options.jobs, options.points)
        begin, length = START + (large - 1) // SLOTS * SECONDS, options.jobs / SLOTS * SECONDS
        reads: dict[str, Callable[[Database], object]] = {
            "to the moment": travel,
            "the line on top": read_slots,
            "the queue": lambda store: read_queue(store, Pace(), QueueView(), 0, 300),
            "a job's head": lambda store: read_job(store, Pace(), HealthCheck(), large),
            "its curve": lambda store: read_curves(store, large, ["loss"], 160),
        }
        with closing(Past(present, START)) as past:
            found: dict[str, list[float]] = {name: [] for name in reads}
            for step in range(STEPS):
                past.seek(begin + 60 * step if step % 2 else START + length * step / STEPS)
                travel(past)
                for name, read in list(reads.items())[1:]:
                    found[name].append(cost(lambda read=read: read(past)))
                past.seek(past.moment + 1)
                found["to the moment"].append(cost(lambda: travel(past)))
        print(
            f"{options.jobs:,} jobs, {options.points:,} points; milliseconds of CPU, medians (and the longest)"
        )
        for name, read in reads.items():
            now = "" if name == "to the moment" else f"   now {cost(lambda read=read: read(present)):6.1f}"
            print(f"{name:16s} {statistics.median(found[name]):6.1f} ({max(found[name]):6.1f}){now}")


if __name__ == "__main__":
    main()
