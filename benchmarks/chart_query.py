"""Reading a series of 1,000,000 points down to the width of a chart: the stored roll-up against SQL over raw points.

python benchmarks/chart_query.py [--points 1000000] [--width 160]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from store import metrics
from store.database import open_database
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
        database.close()


if __name__ == "__main__":
    main()
