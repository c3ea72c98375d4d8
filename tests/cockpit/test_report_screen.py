"""What an experiment has shown, in the cockpit."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.report.section import Section
from cockpit.screens.report_text import table
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


def test_scores_that_do_not_say_what_was_asked_are_no_missing_evaluation(visit: Any, bench: Any) -> None:
    bench.enqueue("eval", engine="eval")
    job = bench.start()
    bench.score(job, [True, True, False, False])
    bench.finish(job)

    async def look(person: Any) -> None:
        await person.sees("✓ succeeded")
        await person.press("p")
        await person.sees("Accuracy", "50.0%", "4 questions; the scores do not say of which task")

    visit(look)


LONG = Section(
    "Budgets",
    ["model", *(f"column {n}" for n in range(8))],
    [[name, *(f"{n}.25%" for n in range(8))] for name in ("a" * 60 + " seed=1", "a" * 60 + " seed=2")],
    "l" + "r" * 8,
)


@pytest.mark.parametrize("width", [40, 76, 96])
def test_columns_that_do_not_fit_stand_below_with_the_name_of_their_row(width: int) -> None:
    rows = ["".join(text for text, _ in line) for line in table(LONG, width)]
    assert all(len(row) <= width for row in rows)
    assert sum("seed=1" in row for row in rows) == sum(row.startswith("model") for row in rows) > 1
    shown = " ".join(rows).split()
    assert all(shown.count(f"{n}.25%") == 2 and shown.count(str(n)) == 1 for n in range(8))


def test_a_table_that_fits_is_shown_once() -> None:
    assert len(table(LONG, 200)) == 3


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
