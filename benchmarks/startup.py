"""How long it takes until something is seen: commands, and the cockpit's first frame with 1,000 jobs of 1,000 points each.

    python benchmarks/startup.py [--jobs 1000] [--points 1000] [--runs 5]

CPU seconds of whole processes. The peer is `python -c pass`; for the first frame, a Textual app with one empty widget.
"""

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from engines.command import Recipe
from store import lifecycle, records
from store.database import open_database
from store.lifecycle import NewJob, Outcome
from store.schema import Status

EMPTY_APP = """
import asyncio
from textual.app import App
async def main():
    async with App().run_test(size=(80, 24)) as pilot:
        await pilot.pause()
asyncio.run(main())
"""
COCKPIT = """
import asyncio
from cockpit.app import Cockpit
from store.database import open_database
async def main():
    app = Cockpit(open_database())
    async with app.run_test(size=(80, 24)) as pilot:
        while " job-9" not in "".join(strip.text for strip in app.screen._compositor.render_strips()):
            await pilot.pause(0.01)
asyncio.run(main())
"""


def cpu_seconds(argv: list[str], home: Path, runs: int) -> float:
    environment = os.environ | {"TUNEDECK_HOME": str(home)}
    times = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, env=environment, capture_output=True, check=True, timeout=60)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(times)


def fill(home: Path, count: int, points: int) -> None:
    database = open_database(home)
    recipe = Recipe.model_validate({"engine": "command", "argv": ["true"]}).model_dump(
        mode="json", by_alias=True
    )
    lifecycle.enqueue(database, "bench", [NewJob(f"job-{i}", "command", recipe) for i in range(count)])
    for _ in range(count - 20):
        claimed = lifecycle.claim(database, count, [])
        assert claimed is not None
        now = time.time()
        values = [{"loss": 2 * math.exp(-step / 200) + 0.1 * math.sin(step)} for step in range(points)]
        curve = [
            {"kind": "metrics", "time": now, "step": step, "values": loss} for step, loss in enumerate(values)
        ]
        records.record(database, claimed[0].id, 0, 1, curve)
        lifecycle.finish(database, claimed[0].id, Outcome(Status.SUCCEEDED, 0, None))
    database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--points", type=int, default=1000, help="of each job's loss")
    arguments = parser.parse_args()
    tunedeck = [sys.executable, "-P", "-m", "cockpit"]
    measured = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "tunedeck --help": [*tunedeck, "--help"],
        f"tunedeck jobs ({arguments.jobs:,} jobs)": [*tunedeck, "jobs"],
        "an empty Textual app, first frame": [sys.executable, "-c", EMPTY_APP],
        f"the cockpit, first frame ({arguments.jobs:,} jobs, {arguments.jobs * arguments.points:,} points)": [
            sys.executable,
            "-P",
            "-c",
            COCKPIT,
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        fill(home, arguments.jobs, arguments.points)
        print(f"{'what':<64} {'CPU s, median':>14}")
        for name, argv in measured.items():
            print(f"{name:<64} {cpu_seconds(argv, home, arguments.runs):>14.3f}")


if __name__ == "__main__":
    main()
