"""Makes the pictures of README and tour: runs the demo in a temporary home and photographs the cockpit on the way.

make screenshots
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from cockpit import library
from cockpit.app import Cockpit
from cockpit.control import start_daemon, stop_daemon
from cockpit.submission import submit
from store import jobs, metrics
from store.database import Database, open_database

FOLDER = Path(__file__).parent / "screens"
SIZE = (100, 30)


async def shoot(database: Database, name: str, keys: list[str], ready: str) -> None:
    """Presses keys in a fresh cockpit and saves what it shows once `ready` is on the screen."""
    app = Cockpit(database)
    async with app.run_test(size=SIZE) as pilot:
        await appears(pilot, "demo")
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.3)
        await appears(pilot, ready)
        await pilot.pause(1.5)  # the first curve is drawn with its first data
        svg = app.export_screenshot(title="tunedeck")
    # Fonts from the network would make the picture depend on it.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    (FOLDER / f"{name}.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")
    print(FOLDER / f"{name}.svg", file=sys.stderr)


async def appears(pilot: Pilot[None], text: str) -> None:
    while text not in pilot.app.export_screenshot().replace("&#160;", " "):
        await pilot.pause(0.1)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.5)


async def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(Path(folder))
        _, job_ids, plan = submit(database, library.find_recipe("demo"))
        largest = job_ids[[job.name for job in plan.jobs].index("full[train_samples=2048]")]
        start_daemon(database)
        try:
            await until(
                lambda: any((s.last_step or 0) > 50 for s in metrics.list_series(database, [largest]))
            )
            await shoot(database, "queue", [], "running")
            row = ["g", "enter"]
            await shoot(database, "job", row, "loss")
            await shoot(database, "machine", ["M"], "CPU load")
            await until(lambda: all(job.is_final for job in jobs.list_jobs(database)))
            marks = ["g", *["space"] * len(job_ids)]
            await shoot(database, "compare", [*marks, "v"], "better")
            await shoot(database, "examples", [*marks, "v", "down", "down", "enter"], "gold answer")
            await shoot(database, "report", ["p"], "Accuracy")
            await shoot(database, "form", ["n", "e"], "enter edits")
            await shoot(database, "past", [*["left_parenthesis"] * 4], "THE PAST")
            await shoot(database, "keys", ["question_mark"], "esc closes")
        finally:
            stop_daemon(database, stop_jobs=True, timeout=60)
            database.close()


if __name__ == "__main__":
    asyncio.run(main())
