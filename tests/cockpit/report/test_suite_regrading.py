"""`tunedeck regrade` of a suite: stored answers under today's graders, with no model and no generation."""

import dataclasses
import json
from typing import Any

import pytest
from click.testing import CliRunner

from cockpit.cli.regrade import regrade as command
from cockpit.regrading import regrade
from engines.sandbox import open_sandbox
from engines.suite.catalog import suite_task
from engines.suite.rows import VERSION, Answer, SuiteRow, fields_of, graded_row
from store import results
from store.database import Database

RECIPE = """
name: graded
jobs:
  base: {engine: eval, model: {base: pocket}, suite: {tasks: [aime, hitab], examples: 3}}
"""


def _rows() -> list[SuiteRow]:
    """Right answers to three questions of each task, as graded today."""
    with open_sandbox() as sandbox:
        return [
            graded_row(task, item, Answer(0, task.gold_answer(item), 5, True), sandbox)
            for task in (suite_task("aime"), suite_task("hitab"))
            for item in [task.generate(seed, 1) for seed in range(3)]
        ]


def _finish(lab: Any, rows: list[SuiteRow], failed: SuiteRow, version: str) -> int:
    [job] = lab.submit(RECIPE)
    protocol = lab.protocol | {"questions": 6, "grading": version}
    examples = [{"kind": "example", "key": row.key, "fields": fields_of(row)} for row in rows]
    lab.report(job, *examples, *(lab.score(name, 0.5, protocol=protocol) for name in ("strict", "robust")))
    grades = lab.database.run_dir(job.id) / "grades"
    grades.mkdir()
    (grades / "hitab.jsonl").write_text(json.dumps({"version": VERSION} | fields_of(failed)) + "\n")
    lab.end(job)
    return int(job.id)


def test_wrong_grades_are_mended_and_what_a_grader_failed_on_is_graded_after_all(
    lab: Any, database: Database
) -> None:
    rows = _rows()
    stale = [dataclasses.replace(row, strict=False, score=0.0) for row in rows[:2]]
    failed = dataclasses.replace(
        rows[5], strict=False, robust=False, outcome="error", detail="RuntimeError: broken"
    )
    job = _finish(lab, [*stale, *rows[2:5]], failed, "suite-0 L0")

    found = regrade(database, job)

    assert found.changed == 3 and set(found.flips["strict"].gained) == {
        stale[0].key,
        stale[1].key,
        failed.key,
    }
    scores = {score.name: score for score in results.list_scores(database, [job])}
    assert scores["strict"].value == 1.0 and scores["strict"].fields["n"] == 6
    assert scores["strict"].fields["protocol"]["grading"].startswith(VERSION)
    assert len(results.list_examples(database, job)) == 6
    assert not regrade(database, job).is_due


def test_an_answer_that_the_grader_still_fails_on_stays_out(
    lab: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _rows()
    failed = dataclasses.replace(rows[5], outcome="error", strict=False)

    def broken(item: Any, text: str, sandbox: Any) -> Any:
        raise RuntimeError("still broken")

    from engines.suite import catalog

    monkeypatch.setitem(catalog.SUITE, "hitab", dataclasses.replace(catalog.SUITE["hitab"], grade=broken))
    job = _finish(lab, rows[:3], failed, "suite-0 L0")
    with pytest.raises(Exception, match="completions of 4 of 6 questions"):
        regrade(database, job)


def test_the_command_shows_the_two_graders_of_a_suite(
    lab: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _rows()
    job = _finish(lab, rows[:5], dataclasses.replace(rows[5], outcome="error", strict=False), "suite-0 L0")
    monkeypatch.setenv("TUNEDECK_HOME", str(database.home))
    shown = CliRunner().invoke(command, [str(job), "--dry-run", "--json"])
    [told] = json.loads(shown.stdout)
    assert (
        set(told["graders"]) == {"strict", "robust"}
        and told["version"].startswith(VERSION)
        and not told["stored"]
    )
