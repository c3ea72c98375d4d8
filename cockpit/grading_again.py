"""Today's grades of stored answers: of one task, or of a suite, whose programs run in the sandbox once more."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from engines.recipe.errors import RecipeError
from engines.sandbox import Layer, open_sandbox
from engines.suite.catalog import suite_task
from engines.suite.journal import failed_before
from engines.suite.rows import VERSION, fields_of, graded_row, item_of, row_of
from engines.suite.summary import summarize_suite
from engines.tasks.summary import Score
from store.database import Database, StoreError
from store.jobs import Job
from store.results import ScoredExample

_AT_ONCE = 8


@dataclass(frozen=True)
class Again:
    """Stored answers with today's grades."""

    stored: Sequence[ScoredExample]
    fields: Sequence[dict[str, Any]]
    """Of each, what its `example` event would say today."""
    figures: Sequence[Score]
    graders: tuple[str, ...]
    version: int | str


def grade_suite(database: Database, job: Job, stored: Sequence[ScoredExample]) -> Again:
    """Grades a suite's answers, those that a grader failed on included. Raises StoreError where it cannot."""
    known = {example.key for example in stored}
    failed = [example for example in _failed(database, job) if example.key not in known]
    everything = [*stored, *failed]
    required = (job.recipe.get("suite") or {}).get("require_sandbox")
    try:
        with open_sandbox(Layer[required] if required else None) as sandbox:
            items = [item_of(example.fields) for example in everything]
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                rows = list(
                    pool.map(lambda one: graded_row(suite_task(one[0].task), one[0], one[1], sandbox), items)
                )
            layer = sandbox.label
    except KeyError as error:
        raise StoreError(
            f"job {job.id} ({job.name}): its examples have no {error}, so they cannot be graded"
        ) from error
    except RecipeError as error:
        raise StoreError(f"job {job.id} ({job.name}): {error}") from error
    # A question that did not fit has no answer to grade.
    rows = [
        row_of(example.fields) if example.fields.get("method") == "too_long" else row
        for example, row in zip(everything, rows, strict=True)
    ]
    as_one = (job.recipe.get("suite") or {}).get("tasks") == "guru17"
    figures = summarize_suite(rows, livebench_as_one=as_one) if rows else []
    return Again(
        everything, [fields_of(row) for row in rows], figures, ("strict", "robust"), f"{VERSION} {layer}"
    )


def _failed(database: Database, job: Job) -> list[ScoredExample]:
    """Answers that a grader failed on: they are kept beside the others, but no example of a comparison."""
    return [
        ScoredExample(row.key, row.example_id, row.sample, False, False, fields_of(row))
        for row in failed_before(database.run_dir(job.id))
    ]
