"""The queue as a window of rows."""

import pytest

from store.filter_language import parse
from store.lifecycle import NewJob, Outcome, claim, enqueue, finish, mark_running
from store.queue import Sort, read_rows
from store.records import record
from store.schema import Status


@pytest.fixture
def five_jobs(database):
    """One running, one done, two waiting (the later one first), one blocked."""
    enqueue(database, "demo", [NewJob("done", "eval", {}, priority=9), NewJob("runs", "sft", {}, priority=8)])
    enqueue(
        database,
        "sweep",
        [
            NewJob("later", "sft", {}),
            NewJob("sooner_100%", "sft", {}, priority=3),
            NewJob("stuck", "eval", {}, needs=(("later", None),)),
        ],
    )
    for job_id in (1, 2):
        claim(database, 9, [])
        mark_running(database, job_id, {"started_at": 5.0})
    finish(database, 1, Outcome(Status.SUCCEEDED, 0, None))
    return database


def names(database, **options):
    return [row.name for row in read_rows(database, **options)[1]]


def test_activity_shows_what_runs_then_what_waits_in_its_order_then_what_ended(five_jobs):
    assert names(five_jobs) == ["runs", "sooner_100%", "later", "stuck", "done"]


def test_other_orders(five_jobs):
    assert names(five_jobs, sort=Sort("id")) == ["stuck", "sooner_100%", "later", "runs", "done"]
    assert names(five_jobs, sort=Sort("id", True)) == ["done", "runs", "later", "sooner_100%", "stuck"]
    assert names(five_jobs, sort=Sort("activity", True)) == ["done", "stuck", "later", "sooner_100%", "runs"]


def test_each_window_of_the_usual_order_is_a_part_of_it(five_jobs):
    everything = names(five_jobs)
    for offset in range(6):
        for limit in range(1, 6):
            count, rows = read_rows(five_jobs, offset=offset, limit=limit)
            assert (count, [row.name for row in rows]) == (5, everything[offset : offset + limit])
            filtered = read_rows(five_jobs, where=parse("!nothing"), offset=offset, limit=limit)[1]
            assert filtered == rows


def test_a_window_has_the_whole_count(five_jobs):
    count, rows = read_rows(five_jobs, offset=1, limit=2)
    assert count == 5
    assert [row.name for row in rows] == ["sooner_100%", "later"]


def test_a_row_has_the_newest_loss_and_the_best_known_accuracy(five_jobs):
    values = {"loss": 1.5, "dev_accuracy_strict": 0.25}
    events = [{"kind": "metrics", "time": 1.0, "step": 1, "values": values}]
    record(five_jobs, 2, 0, 1, events)
    assert [(row.loss, row.accuracy) for row in read_rows(five_jobs, ids=[2])[1]] == [(1.5, 0.25)]
    record(five_jobs, 2, 1, 2, [{"kind": "score", "time": 2.0, "name": "strict", "value": 0.5}])
    assert [row.accuracy for row in read_rows(five_jobs, ids=[2])[1]] == [0.5]


def test_a_commit_by_anyone_is_a_change_and_a_read_is_none(database):
    with database.changes() as version:
        before = version()
        read_rows(database)
        assert version() == before
        enqueue(database, "demo", [NewJob("one", "sft", {})])
        assert version() != before
