"""The queue by experiments: a line for each, its jobs below it, in any window."""

import pytest

from store.database import Database
from store.filter_language import parse
from store.lifecycle import NewJob, Outcome, claim, enqueue, finish, mark_running
from store.queue import SORTS, JobRow, Sort
from store.records import record
from store.schema import Status
from store.tree import ExperimentRow, Folds, read_tree


@pytest.fixture
def sweeps(database: Database) -> Database:
    """Experiments `old` (3 jobs: done at 50 % and 75 %, failed), `waits` (2) and `runs` (2, one of which runs)."""
    enqueue(database, "old", [NewJob(f"old-{i}", "eval", {}, priority=9) for i in range(3)])
    for job_id, status, value in (
        (1, Status.SUCCEEDED, 0.5),
        (2, Status.SUCCEEDED, 0.75),
        (3, Status.FAILED, None),
    ):
        claim(database, 9, [])
        mark_running(database, job_id, {"started_at": 5.0})
        if value is not None:
            record(database, job_id, 0, 1, [{"kind": "score", "time": 2.0, "name": "strict", "value": value}])
        finish(database, job_id, Outcome(status, 0, None, ended_at=10.0 + job_id))
    enqueue(database, "waits", [NewJob(f"waits-{i}", "sft", {}) for i in range(2)])
    enqueue(database, "runs", [NewJob(f"runs-{i}", "sft", {}, priority=5) for i in range(2)])
    claim(database, 9, [])
    return database


def lines(database: Database, **options: object) -> list[str]:
    return [row.name for row in read_tree(database, **options)[2]]  # type: ignore[arg-type]


def test_experiments_that_run_come_first_and_say_how_far_they_are(sweeps: Database) -> None:
    count, matching, rows = read_tree(sweeps)
    assert (count, matching) == (3, 7)
    assert [row.name for row in rows] == ["runs", "waits", "old"]
    old = rows[2]
    assert isinstance(old, ExperimentRow)
    assert (old.jobs, old.done, old.failed, old.active, old.waiting) == (3, 2, 1, 0, 0)
    assert (old.best, old.best_job, old.best_name, old.ended_at) == (0.75, 2, "old-1", 13.0)
    assert isinstance(rows[0], ExperimentRow)
    assert (rows[0].active, rows[0].waiting, rows[0].best, rows[0].best_job) == (1, 1, None, None)


def test_open_experiments_show_their_jobs_and_a_filter_counts_what_it_finds(sweeps: Database) -> None:
    assert lines(sweeps, folds=Folds(False, frozenset({1}))) == [
        "runs",
        "waits",
        "old",
        "old-2",
        "old-1",
        "old-0",
    ]
    assert lines(sweeps, folds=Folds(True, frozenset({1, 3}))) == [
        "runs",
        "waits",
        "waits-0",
        "waits-1",
        "old",
    ]
    count, matching, rows = read_tree(sweeps, where=parse("status:succeeded"), folds=Folds(True))
    assert (count, matching, [row.name for row in rows]) == (3, 2, ["old", "old-1", "old-0"])
    assert isinstance(rows[0], ExperimentRow) and rows[0].jobs == 2


def test_every_window_of_every_order_is_a_part_of_the_whole(sweeps: Database) -> None:
    for folds in (Folds(), Folds(True), Folds(True, frozenset({2})), Folds(False, frozenset({1, 3}))):
        for column in SORTS:
            for reverse in (False, True):
                view = {"folds": folds, "sort": Sort(column, reverse)}
                everything = lines(sweeps, **view)
                assert len(set(everything)) == len(everything) == read_tree(sweeps, **view)[0]  # type: ignore[arg-type]
                for offset in range(0, 9, 2):
                    for limit in (1, 3):
                        part = lines(sweeps, offset=offset, limit=limit, **view)
                        assert part == everything[offset : offset + limit]


def test_experiments_are_ordered_by_their_best_accuracy_and_by_name(sweeps: Database) -> None:
    assert lines(sweeps, sort=Sort("accuracy"))[0] == "old"
    assert lines(sweeps, sort=Sort("name")) == ["old", "runs", "waits"]
    assert lines(sweeps, sort=Sort("id")) == ["runs", "waits", "old"]
    assert lines(sweeps, sort=Sort("id", True)) == ["old", "waits", "runs"]
    keys = [row.key for row in read_tree(sweeps, folds=Folds(True))[2]]
    assert (
        len(set(keys)) == 10
        and sum(isinstance(row, JobRow) for row in read_tree(sweeps, folds=Folds(True))[2]) == 7
    )
