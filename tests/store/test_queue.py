"""The queue in the store: what may start, in which order, and what happens to the jobs that wait."""

from collections.abc import Callable

import pytest

from store import jobs, lifecycle, results, wishes
from store.database import Database, StoreError
from store.lifecycle import NewJob, Outcome
from store.schema import Status


def enqueue(database: Database, *new_jobs: NewJob) -> list[int]:
    return lifecycle.enqueue(database, "test", new_jobs)[1]


def job(name: str, *needs: str, gpus: int | None = 0, priority: int = 0, retries: int = 0) -> NewJob:
    return NewJob(name, "command", {}, tuple((n, None) for n in needs), gpus, priority, retries)


def claim_all(database: Database, cpu_slots: int, gpus: list[str]) -> list[tuple[str, list[str]]]:
    claimed = []
    while found := lifecycle.claim(database, cpu_slots, gpus):
        claimed.append((found[0].name, found[1]))
    return claimed


def finish(database: Database, job_id: int, status: Status, retry: bool = False) -> Status:
    return lifecycle.finish(
        database, job_id, Outcome(status, 0 if status is Status.SUCCEEDED else 1, "why", retry)
    )


def test_higher_priority_goes_first_then_the_older(database: Database) -> None:
    enqueue(database, job("a"), job("b", priority=5), job("c", priority=5), job("d", priority=-1))

    assert [name for name, _ in claim_all(database, 9, [])] == ["b", "c", "a", "d"]


def test_cpu_slots_bound_how_many_run(database: Database) -> None:
    enqueue(database, job("a"), job("b"), job("c"))

    assert len(claim_all(database, 2, [])) == 2


def test_cpu_jobs_do_not_wait_behind_gpu_jobs(database: Database) -> None:
    enqueue(database, job("g1", gpus=1), job("g2", gpus=1), job("c"))

    assert claim_all(database, 1, ["GPU-a"]) == [("g1", ["GPU-a"]), ("c", [])]


def test_a_gpu_is_never_given_out_twice(database: Database) -> None:
    ids = enqueue(database, *[job(f"g{i}", gpus=1) for i in range(4)])
    claimed = claim_all(database, 0, ["GPU-a", "GPU-b"])

    assert sorted(devices for _, [devices] in claimed) == ["GPU-a", "GPU-b"]
    finish(database, ids[0], Status.SUCCEEDED)
    assert claim_all(database, 0, ["GPU-a", "GPU-b"]) == [("g2", claimed[0][1])]


def test_a_large_job_is_not_starved_and_an_impossible_one_holds_nobody_back(database: Database) -> None:
    enqueue(database, job("one", gpus=1), job("eight", gpus=8), job("two", gpus=2), job("one more", gpus=1))

    assert [name for name, _ in claim_all(database, 0, ["a", "b"])] == ["one"]


def test_auto_takes_a_gpu_where_there_is_one_and_a_cpu_slot_elsewhere(database: Database) -> None:
    enqueue(database, job("a", gpus=None), job("b", gpus=None))

    assert claim_all(database, 5, ["GPU-a"]) == [("a", ["GPU-a"])]
    assert claim_all(database, 5, []) == [("b", [])]


def test_a_job_waits_for_all_that_it_needs(database: Database) -> None:
    a, b, c = enqueue(database, job("a"), job("b"), job("c", "a", "b"))
    assert len(claim_all(database, 9, [])) == 2

    finish(database, a, Status.SUCCEEDED)
    assert jobs.get_job(database, c).status is Status.BLOCKED
    finish(database, b, Status.SUCCEEDED)
    assert jobs.get_job(database, c).status is Status.QUEUED


def test_when_a_need_fails_all_that_wait_for_it_are_given_up_with_the_reason(database: Database) -> None:
    a, b, c = enqueue(database, job("a"), job("b", "a"), job("c", "b"))
    claim_all(database, 9, [])
    finish(database, a, Status.FAILED)

    assert jobs.get_job(database, b).reason == f"needs `a` (job {a}), which failed"
    assert jobs.get_job(database, c).reason == f"needs `b` (job {b}), which was cancelled"


def test_retrying_a_job_brings_back_the_jobs_that_were_given_up_for_it_but_not_those_cancelled_by_hand(
    database: Database,
) -> None:
    a, b, c, d = enqueue(database, job("a"), job("b", "a"), job("c", "b"), job("d", "a"))
    wishes.request_cancel(database, d)
    claim_all(database, 9, [])
    finish(database, a, Status.FAILED)
    wishes.retry(database, a)

    states = [jobs.get_job(database, job_id).status for job_id in (a, b, c, d)]
    assert states == [Status.QUEUED, Status.BLOCKED, Status.BLOCKED, Status.CANCELLED]


def test_a_job_that_needs_a_failed_one_by_two_ways_is_given_up_and_brought_back_once(
    database: Database,
) -> None:
    a, _b, c = enqueue(database, job("a"), job("b", "a"), job("c", "b", "a"))
    claim_all(database, 1, [])
    finish(database, a, Status.FAILED)

    assert jobs.get_job(database, c).status is Status.CANCELLED
    wishes.retry(database, a)
    assert [row.status for row in jobs.list_jobs(database)] == [Status.QUEUED, Status.BLOCKED, Status.BLOCKED]


def test_a_chain_of_as_many_jobs_as_a_recipe_may_have_is_given_up_and_brought_back(
    database: Database,
) -> None:
    chain = [job("0"), *(job(str(i), str(i - 1)) for i in range(1, 1000))]
    first, *_, last = enqueue(database, *chain)
    wishes.request_cancel(database, first)
    assert jobs.get_job(database, last).status is Status.CANCELLED
    wishes.retry(database, first)

    assert jobs.count_by_status(database) == {Status.QUEUED: 1, Status.BLOCKED: 999}


def test_a_retry_rule_queues_the_job_again_until_it_is_used_up(database: Database) -> None:
    (a,) = enqueue(database, job("a", retries=1))
    claim_all(database, 9, [])

    assert finish(database, a, Status.FAILED, retry=True) is Status.QUEUED
    claim_all(database, 9, [])
    assert finish(database, a, Status.FAILED, retry=True) is Status.FAILED
    assert [attempt.outcome for attempt in results.list_attempts(database, a)] == ["failed", "failed"]


def test_a_job_that_was_cancelled_is_not_queued_to_go_on(database: Database) -> None:
    [job_id] = enqueue(database, job("a"))
    claim_all(database, 1, [])
    wishes.request_cancel(database, job_id)

    assert finish(database, job_id, Status.QUEUED) is Status.CANCELLED


def test_no_final_status_is_overwritten(database: Database) -> None:
    (a,) = enqueue(database, job("a"))
    claim_all(database, 9, [])
    finish(database, a, Status.SUCCEEDED)

    with pytest.raises(StoreError, match="cannot go from succeeded to failed"):
        finish(database, a, Status.FAILED)
    with pytest.raises(StoreError, match="is already succeeded"):
        wishes.request_cancel(database, a)
    with pytest.raises(StoreError, match="only a failed, cancelled or lost job can be retried"):
        wishes.retry(database, a)
    assert jobs.get_job(database, a).status is Status.SUCCEEDED


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (lambda database, id_: wishes.set_held(database, id_, True), "can be held"),
        (lambda database, id_: wishes.set_priority(database, id_, 3), "has a place in the queue"),
    ],
)
def test_a_running_job_cannot_be_held_or_moved(
    database: Database, wish: Callable[[Database, int], object], words: str
) -> None:
    (a,) = enqueue(database, job("a"))
    claim_all(database, 9, [])

    with pytest.raises(StoreError, match=words):
        wish(database, a)


def test_a_held_job_stays_until_it_is_released(database: Database) -> None:
    (a,) = enqueue(database, job("a"))
    wishes.set_held(database, a, True)
    assert claim_all(database, 9, []) == []

    wishes.set_held(database, a, False)
    assert claim_all(database, 9, []) == [("a", [])]


def test_every_change_of_status_is_in_the_audit_log(database: Database) -> None:
    (a,) = enqueue(database, job("a"))
    claim_all(database, 9, [])
    lifecycle.mark_running(database, a, {"started_at": 1.0})
    finish(database, a, Status.SUCCEEDED)

    log = results.list_transitions(database, a)
    assert [(t.from_status, t.to_status) for t in log] == [
        (None, "queued"),
        ("queued", "starting"),
        ("starting", "running"),
        ("running", "succeeded"),
    ]


def test_a_submission_is_queued_whole_or_not_at_all(database: Database) -> None:
    with pytest.raises(KeyError):
        enqueue(database, job("a"), job("b", "nowhere"))

    assert jobs.list_jobs(database) == []


def test_an_unknown_job_is_named(database: Database) -> None:
    with pytest.raises(StoreError, match="job 7: there is no such job\nhint"):
        jobs.get_job(database, 7)


def test_retrying_one_of_two_failed_needs_leaves_the_job_given_up_until_the_other_is_retried(
    database: Database,
) -> None:
    a, b, c = enqueue(database, job("a"), job("b"), job("c", "a", "b"))
    claim_all(database, 9, [])
    finish(database, a, Status.FAILED)
    finish(database, b, Status.FAILED)
    wishes.retry(database, a)
    assert jobs.get_job(database, c).status is Status.CANCELLED

    wishes.retry(database, b)
    assert jobs.get_job(database, c).status is Status.BLOCKED


def test_a_job_that_waits_for_its_next_attempt_has_no_running_time(database: Database) -> None:
    (a,) = enqueue(database, job("a", retries=1))
    claim_all(database, 9, [])
    lifecycle.mark_running(database, a, {"started_at": 1.0})
    finish(database, a, Status.FAILED, retry=True)

    assert jobs.get_job(database, a).started_at is None


def test_a_job_whose_need_has_failed_cannot_be_retried_before_that_one(database: Database) -> None:
    a, b = enqueue(database, job("a"), job("b", "a"))
    claim_all(database, 9, [])
    finish(database, a, Status.FAILED)

    with pytest.raises(StoreError, match="would wait for ever\nhint: retry that one first"):
        wishes.retry(database, b)
    assert jobs.get_job(database, b).status is Status.CANCELLED
