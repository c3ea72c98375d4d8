"""Reading a series of 1,000,000 points down to the width of a chart: the stored roll-up against SQL over raw points.

Then a part of it, and the curves of twenty runs over each other.

python benchmarks/chart_query.py [--points 1000000] [--width 160]
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

from cockpit.overlay import read_overlays
from store import jobs, metrics
from store.database import Database, open_database
from store.lifecycle import NewJob, enqueue


def milliseconds(read: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        read()
        times.append(1000 * (time.perf_counter() - started))
    return median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=160)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder))
        _, [job_id] = enqueue(database, "bench", [NewJob("a", "command", {})])
        started = time.perf_counter()
        for start in range(0, arguments.points, 5000):
            rows = [
                ("loss", i, 1 / (i + 1), float(i)) for i in range(start, min(start + 5000, arguments.points))
            ]
            with database.write() as connection:
                metrics.append(connection, job_id, 1, rows)
        filled = time.perf_counter() - started
        print(
            f"ingest: {arguments.points / filled:,.0f} points/s, roll-up included (one series, 5,000 a commit)\n"
        )

        def group_by() -> object:
            bucket = arguments.points // arguments.width + 1
            with database.read() as connection:
                return connection.exec_driver_sql(
                    "SELECT min(step), max(step), min(value), max(value) FROM points"
                    f" WHERE series_id = 1 GROUP BY ordinal / {bucket}"
                ).all()

        def all_points() -> object:
            with database.read() as connection:
                return connection.exec_driver_sql("SELECT step, value FROM points WHERE series_id = 1").all()

        ours = milliseconds(lambda: metrics.chart(database, job_id, "loss", arguments.width), 50)
        print(f"{'read':<34} {'ms, median':>10} {'ratio':>9}")
        print(f"{'store.metrics.chart (roll-up)':<34} {ours:>10.2f} {1:>8.1f}x")
        for name, read in (
            ("GROUP BY over raw points", group_by),
            ("all points, reduced by the reader", all_points),
        ):
            theirs = milliseconds(read, 5)
            print(f"{name:<34} {theirs:>10.2f} {theirs / ours:>8.1f}x")
        middle = arguments.points // 2
        part = milliseconds(
            lambda: metrics.chart(database, job_id, "loss", arguments.width, middle, middle + 5000), 50
        )
        print(f"{'5,000 steps in the middle':<34} {part:>10.2f}")
        overlay(database, 20, 100_000)
        database.close()


def overlay(database: Database, runs: int, points: int) -> None:
    """The curves of some runs beside one, at the widths of an 80x24 and a 200x50 terminal."""
    _, ids = enqueue(
        database, "overlay", [NewJob(f"r{i}", "sft", {"lr": i // 5, "seed": i}) for i in range(runs)]
    )
    for number, job_id in enumerate(ids):
        with database.write() as connection:
            rows = (("loss", i, math.exp(-i / 3e4) + number / 10, float(i)) for i in range(points))
            metrics.append(connection, job_id, 1, rows)
    job = jobs.get_job(database, ids[0])
    print(f"\noverlay of {runs} runs of {points:,} points, seeds as bands")
    for width in (144, 384):
        for axis in ("step", "time"):
            found = milliseconds(
                partial(read_overlays, database, job, ids[1:], ["loss"], width, axis, None), 10
            )
            print(f"{f'{width} points wide, over {axis}s':<34} {found:>10.2f}")


if __name__ == "__main__":
    main()
