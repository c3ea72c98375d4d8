"""What an experiment has shown, in the cockpit."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.database import Database

Visits = Callable[..., None]


@pytest.fixture
def sweep(bench: Any) -> None:
    """Two budgets of one method, evaluated on the same questions, and the model that they began with."""
    bench.enqueue("base", experiment="sweep", engine="eval")
    bench.enqueue("small", "large", experiment="other")
    for job_id, right in ((1, 4), (2, 10), (3, 16)):
        assert bench.start() == job_id
        bench.score(job_id, [True] * right + [False] * (20 - right))
        bench.finish(job_id)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_the_report_of_an_experiment_is_read_turned_over_and_written(
    visit: Visits, bench: Any, database: Database, sweep: None, size: tuple[int, int]
) -> None:
    async def look(person: Any) -> None:
        await person.sees("✓ succeeded", "small")
        await person.press("p")
        await person.sees("other: ", "Accuracy", "80.0%")
        await person.press("G")
        await person.sees("no plot against trained tokens")
        await person.press("e")
        await person.sees("Write the report to which file?", "other.md")
        await person.press("enter")
        await person.sees("Written: ")
        await person.press("p")
        await person.sees("by activity")

    visit(look, size)

    page = (database.home / "exports" / "other.md").read_text()
    assert page.startswith("# other\n") and "## " in page
    assert all((database.home / "exports" / name).is_file() for name in re.findall(r"\(<(.+\.svg)>\)", page))


def test_a_report_without_evaluations_says_what_is_missing_and_grows_when_read_again(
    visit: Visits, bench: Any, database: Database, tmp_path: Path
) -> None:
    bench.enqueue("a", "b")

    async def look(person: Any) -> None:
        await person.sees("○ queued")
        await person.press("p")
        await person.sees("demo: no evaluation yet")
        bench.start()
        bench.score(1, [True, False])
        await person.press("R")
        await person.sees("50.0%")
        await person.press("e", "x", "enter")
        await person.sees("the name must end in .md")
        await person.press("escape", "escape")
        await person.sees("by activity")

    visit(look)
