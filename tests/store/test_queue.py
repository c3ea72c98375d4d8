"""The queue in the store: what may start, in which order, and what happens to the jobs that wait."""

import threading
import time
from collections.abc import Callable

import pytest

from store import groups, jobs, lifecycle, machine, results, wishes
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


GIB = 1 << 30


def shared(name: str, gib: int, gpus: int = 1, priority: int = 0) -> NewJob:
    return NewJob(name, "command", {}, gpus=gpus, gpu_memory=gib * GIB, priority=priority)


def claim_shared(database: Database, gpus: dict[str, int]) -> list[tuple[str, list[str]]]:
    """Claims all that fits on cards of so many GiB."""
    memory, claimed = {uuid: gib * GIB for uuid, gib in gpus.items()}, []
    while found := lifecycle.claim(database, 0, list(gpus), memory):
        claimed.append((found[0].name, found[1]))
    return claimed


def test_small_jobs_share_a_card_up_to_its_memory_and_the_fullest_card_is_filled_first(
    database: Database,
) -> None:
    ids = enqueue(database, shared("a", 30), shared("b", 30), shared("c", 15), shared("d", 30))

    assert claim_shared(database, {"A": 80, "B": 80}) == [
        ("a", ["A"]),
        ("b", ["A"]),
        ("c", ["A"]),
        ("d", ["B"]),
    ]
    finish(database, ids[0], Status.SUCCEEDED)
    enqueue(database, shared("e", 35), shared("f", 30))
    assert claim_shared(database, {"A": 80, "B": 80}) == [("e", ["A"]), ("f", ["B"])]


def test_a_card_is_shared_or_whole_and_never_both(database: Database) -> None:
    first, _, whole = enqueue(database, shared("a", 10), shared("b", 10), job("whole", gpus=1))

    assert [name for name, _ in claim_shared(database, {"A": 80})] == ["a", "b"]
    finish(database, first, Status.SUCCEEDED)
    assert claim_shared(database, {"A": 80}) == []
    finish(database, first + 1, Status.SUCCEEDED)
    enqueue(database, shared("c", 10))
    assert claim_shared(database, {"A": 80}) == [("whole", ["A"])]
    finish(database, whole, Status.SUCCEEDED)
    assert claim_shared(database, {"A": 80}) == [("c", ["A"])]


def test_a_share_that_no_card_can_give_holds_nobody_back_and_one_that_will_fit_keeps_its_turn(
    database: Database,
) -> None:
    enqueue(database, shared("huge", 90), shared("pair", 50, gpus=2), shared("a", 60), shared("b", 20))

    # `pair` needs 50 GiB on two cards, and only one card is that large.
    assert [name for name, _ in claim_shared(database, {"A": 80, "B": 40})] == ["a", "b"]
    enqueue(database, shared("c", 70), shared("d", 1))
    assert claim_shared(database, {"A": 80, "B": 40}) == []


def test_the_database_itself_refuses_a_second_owner_of_a_whole_card(database: Database) -> None:
    from store.schema import gpu_reservations

    first, second = enqueue(database, job("a", gpus=1), shared("b", 1))
    assert claim_all(database, 0, ["A"]) == [("a", ["A"])]

    with pytest.raises(StoreError, match="the GPU is reserved"), database.write() as connection:
        connection.execute(gpu_reservations.insert().values(uuid="A", job_id=second, memory_bytes=GIB))
    assert [owner.job_id for owner in machine.reservations(database)["A"]] == [first]


def test_auto_waits_for_a_card_in_foreign_hands_rather_than_take_a_cpu_slot(database: Database) -> None:
    enqueue(database, job("a", gpus=None), job("b"))

    assert lifecycle.claim(database, 9, [], machine_gpus=1)[0].name == "b"  # type: ignore[index]
    assert lifecycle.claim(database, 9, [], machine_gpus=1) is None
    assert claim_all(database, 9, ["A"]) == [("a", ["A"])]


def grouped(name: str, group: str | None) -> NewJob:
    return NewJob(name, "command", {}, group=group)


def test_a_group_runs_no_more_jobs_at_once_than_it_has_slots(database: Database) -> None:
    groups.set_group(database, "net", slots=1)
    ids = enqueue(
        database, grouped("a", "net"), grouped("b", "net"), grouped("c", None), grouped("d", "other")
    )

    assert [name for name, _ in claim_all(database, 9, [])] == ["a", "c", "d"]
    finish(database, ids[0], Status.FAILED)
    assert [name for name, _ in claim_all(database, 9, [])] == ["b"]


def test_a_paused_group_starts_nothing_until_it_is_resumed(database: Database) -> None:
    groups.set_group(database, "net", paused=True)
    enqueue(database, grouped("a", "net"), grouped("b", None))

    assert [name for name, _ in claim_all(database, 9, [])] == ["b"]
    groups.set_group(database, "net", paused=False)
    assert [name for name, _ in claim_all(database, 9, [])] == ["a"]
    assert groups.list_groups(database) == [groups.Group("net", None, False, running=1, waiting=0)]


def test_a_job_does_not_start_before_its_time(database: Database) -> None:
    now = time.time()
    later, sooner = (
        NewJob("later", "command", {}, not_before=now + 1e6),
        NewJob("sooner", "command", {}, not_before=now),
    )
    enqueue(database, later, sooner)

    assert [name for name, _ in claim_all(database, 9, [])] == ["sooner"]
    assert lifecycle.next_start(database) == pytest.approx(now + 1e6)


def test_a_retry_waits_out_its_pause_and_a_fallback_costs_no_retry(database: Database) -> None:
    (a,) = enqueue(database, job("a", retries=1))
    claim_all(database, 1, [])
    lifecycle.finish(database, a, Outcome(Status.FAILED, 1, "memory", retry=True, fallback=True))
    row = jobs.get_job(database, a)
    assert (row.status, row.fallbacks, row.retries_left, row.not_before) == (Status.QUEUED, 1, 1, None)

    claim_all(database, 1, [])
    lifecycle.finish(database, a, Outcome(Status.FAILED, 1, "bad", retry=True, delay=1e6, ended_at=5.0))
    row = jobs.get_job(database, a)
    assert (row.status, row.fallbacks, row.retries_left, row.not_before) == (Status.QUEUED, 1, 0, 1e6 + 5)


def test_a_sweep_is_held_after_fast_failures_and_a_release_gives_it_as_many_again(database: Database) -> None:
    new = [job(f"j{i}") for i in range(8)]
    _, ids = lifecycle.enqueue(database, "sweep", new, hold_after={"failures": 2, "seconds": 60})

    def fail_next(seconds: float) -> None:
        found = lifecycle.claim(database, 1, [])
        assert found is not None
        now = time.time()
        lifecycle.mark_running(database, found[0].id, {"started_at": now - seconds})
        lifecycle.finish(database, found[0].id, Outcome(Status.FAILED, 1, "bad", ended_at=now))

    fail_next(1)
    fail_next(1000)  # an hour's work that fails says nothing about the others
    assert not jobs.get_job(database, ids[7]).held
    fail_next(1)
    held = jobs.get_job(database, ids[7])
    assert (held.held, held.reason) == (True, "held: 2 jobs of its experiment failed within 60 s each")
    assert lifecycle.claim(database, 9, []) is None
    for job_id in ids[3:]:
        wishes.set_held(database, job_id, False)
    fail_next(1)
    assert not jobs.get_job(database, ids[7]).held
    fail_next(1)
    assert jobs.get_job(database, ids[7]).held


def test_a_key_submits_once_and_is_refused_for_other_jobs(database: Database) -> None:
    first = lifecycle.enqueue(database, "test", [job("a"), job("b", "a")], key="tuesday")
    again = lifecycle.enqueue(database, "test", [job("a"), job("b", "a")], key="tuesday")

    assert again == first
    assert len(jobs.list_jobs(database)) == 2
    with pytest.raises(StoreError, match=r"key `tuesday`: experiment 1 was submitted under it"):
        lifecycle.enqueue(database, "test", [job("c")], key="tuesday")


def test_two_who_submit_under_one_key_at_once_submit_one_experiment(database: Database) -> None:
    submitted: list[tuple[int, list[int]]] = []
    threads = [
        threading.Thread(
            target=lambda: submitted.append(lifecycle.enqueue(database, "test", [job("a")], key="once"))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert submitted == [(1, [1])] * 6


def test_a_cancel_of_waiting_jobs_is_undone_with_place_hold_and_dependents(database: Database) -> None:
    a, b, c = enqueue(database, job("a", priority=3), job("b", "a"), job("c"))
    wishes.set_held(database, a, True)
    wishes.request_cancel(database, a)
    assert jobs.get_job(database, b).status is Status.CANCELLED
    wishes.undo_cancel(database, a)

    rows = {row.id: row for row in jobs.list_jobs(database)}
    assert (rows[a].status, rows[a].held, rows[a].priority, rows[a].attempt) == (Status.QUEUED, True, 3, 0)
    assert (rows[b].status, rows[c].status) == (Status.BLOCKED, Status.QUEUED)


def test_only_a_cancel_before_the_start_can_be_undone(database: Database) -> None:
    (a,) = enqueue(database, job("a"))
    claim_all(database, 1, [])
    wishes.request_cancel(database, a)
    finish(database, a, Status.QUEUED)
    assert jobs.get_job(database, a).status is Status.CANCELLED

    with pytest.raises(StoreError, match="job 1: cancelled while it ran; only the cancel"):
        wishes.undo_cancel(database, a)


def test_a_job_whose_need_has_failed_cannot_be_retried_before_that_one(database: Database) -> None:
    a, b = enqueue(database, job("a"), job("b", "a"))
    claim_all(database, 9, [])
    finish(database, a, Status.FAILED)

    with pytest.raises(StoreError, match="would wait for ever\nhint: retry that one first"):
        wishes.retry(database, b)
    assert jobs.get_job(database, b).status is Status.CANCELLED
