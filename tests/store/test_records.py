"""What workers report, written down exactly once."""

import pytest

from store import jobs, metrics, records, results, wishes
from store.database import Database, StoreError
from store.lifecycle import NewJob, enqueue


@pytest.fixture
def job_id(database: Database) -> int:
    return enqueue(database, "test", [NewJob("a", "command", {})])[1][0]


def metric(step: int, **values: float) -> records.Event:
    return {"kind": "metrics", "time": float(step), "step": step, "values": values}


def test_a_batch_is_recorded_once_even_if_it_is_read_twice(database: Database, job_id: int) -> None:
    records.record(database, job_id, 0, 100, [metric(1, loss=2.0)])

    with pytest.raises(StoreError, match="up to byte 100 are recorded, not 0"):
        records.record(database, job_id, 0, 100, [metric(1, loss=2.0)])
    assert len(list(metrics.read_points(database, job_id, "loss"))) == 1


def test_a_batch_that_fails_leaves_nothing_behind(database: Database, job_id: int) -> None:
    with pytest.raises(KeyError):
        records.record(database, job_id, 0, 100, [metric(1, loss=2.0), {"kind": "score", "value": 1}])

    assert jobs.get_job(database, job_id).events_offset == 0
    assert metrics.list_series(database, [job_id]) == []


def test_examples_and_scores_reported_again_replace_the_first_report(database: Database, job_id: int) -> None:
    fields = {"example_id": "q1", "sample": 0, "strict": False, "robust": True}
    example = {"kind": "example", "time": 0.0, "key": "q1/0", "fields": fields}
    better = {**example, "fields": {**fields, "strict": True}}
    score = {"kind": "score", "time": 0.0, "name": "strict", "value": 0.5, "fields": {"n": 2}}
    records.record(database, job_id, 0, 1, [example, score, better, {**score, "value": 1.0}])

    assert results.outcomes(database, job_id, "strict") == {("q1", 0): True}
    assert [score.value for score in results.list_scores(database, [job_id])] == [1.0]


def test_a_new_attempt_takes_back_the_metrics_beyond_its_checkpoint(database: Database, job_id: int) -> None:
    first = [{"kind": "started", "time": 0.0, "attempt": 1}, *[metric(i, loss=float(i)) for i in range(1, 6)]]
    second = [{"kind": "started", "time": 9.0, "attempt": 2, "resume_step": 3}, metric(4, loss=-4.0)]
    records.record(database, job_id, 0, 10, first)
    records.record(database, job_id, 10, 20, second)

    points = [
        (point.step, point.value, point.attempt) for point in metrics.read_points(database, job_id, "loss")
    ]
    assert points == [(1, 1.0, 1), (2, 2.0, 1), (3, 3.0, 1), (4, -4.0, 2)]
    assert results.list_messages(database, job_id)[-1].text == "resumes from step 3"


def test_unknown_kinds_are_kept_as_messages(database: Database, job_id: int) -> None:
    records.record(database, job_id, 0, 1, [{"kind": "novelty", "time": 1.0, "text": "something new"}])

    assert [(m.kind, m.text) for m in results.list_messages(database, job_id)] == [
        ("novelty", "something new")
    ]


def test_the_newest_warning_is_told_apart_from_other_messages_and_from_earlier_times(
    database: Database, job_id: int
) -> None:
    said = [("warning", "first", 1.0), ("warning", "second", 2.0), ("info", "third", 3.0)]
    events: list[records.Event] = [
        {"kind": "message", "level": level, "text": text, "time": time} for level, text, time in said
    ]
    records.record(database, job_id, 0, 10, events)

    assert results.newest_warning(database, job_id) == "second"
    assert results.newest_warning(database, job_id, since=2.0) == "second"
    assert results.newest_warning(database, job_id, since=2.5) is None


def test_progress_and_unreadable_lines_are_on_the_job(database: Database, job_id: int) -> None:
    progress = {"kind": "progress", "time": 5.0, "done": 3, "total": 10, "unit": "step"}
    records.record(database, job_id, 0, 1, [progress], unreadable=2)
    job = jobs.get_job(database, job_id)

    assert (job.progress_done, job.progress_total, job.progress_unit, job.unreadable_lines) == (
        3,
        10,
        "step",
        2,
    )


def test_an_amendment_is_refused_until_the_job_has_ended_and_then_stands_in_the_audit_log(
    database: Database, job_id: int
) -> None:
    score = {"kind": "score", "time": 0.0, "name": "strict", "value": 0.5, "fields": {}}
    with pytest.raises(StoreError, match=f"job {job_id}: is queued\nhint: wait until it has ended"):
        records.record(database, job_id, 0, 10, [score], amendment="graded again")
    assert results.list_scores(database, [job_id]) == []
    wishes.request_cancel(database, job_id)
    records.record(database, job_id, 0, 10, [score], amendment="graded again")

    last = results.list_transitions(database, job_id)[-1]
    assert (last.from_status, last.to_status, last.reason) == ("cancelled", "cancelled", "graded again")
    assert [score.value for score in results.list_scores(database, [job_id])] == [0.5]
