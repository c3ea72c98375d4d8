"""Another place in the queue, by as few priorities as it takes."""

import random

import pytest

from store import jobs, reorder, results
from store.database import Database, StoreError
from store.lifecycle import NewJob, claim, enqueue
from store.reorder import new_priorities


def turn(places: list[tuple[int, int]]) -> list[int]:
    return [job_id for job_id, _ in sorted(places, key=lambda place: (-place[1], place[0]))]


def test_any_job_can_go_to_any_place_and_all_others_keep_their_order() -> None:
    dice = random.Random(3)
    for _ in range(600):
        ids = range(1, dice.randint(2, 9))
        old = {job_id: dice.randint(-2, 2) for job_id in ids}
        order = [(job_id, old[job_id]) for job_id in turn(list(old.items()))]
        start, to = dice.randrange(len(order)), dice.randrange(len(order))
        order.insert(to, order.pop(start))
        changed = new_priorities(order, to)
        assert turn(list((old | changed).items())) == [job_id for job_id, _ in order]
        assert all(old[job_id] != priority for job_id, priority in changed.items())


@pytest.mark.parametrize(
    ("order", "moved", "changes"),
    [
        ([(3, 0), (1, 0), (2, 0)], 0, {3: 1}),
        ([(1, 0), (3, 0), (2, 0)], 1, {2: -1}),
        ([(1, 0), (4, 0), (2, 0), (3, 0)], 1, {4: 1, 1: 1}),
        ([(1, 9), (3, 0), (2, 0)], 1, {3: 1}),
        ([(2, 0), (3, 0), (1, 0)], 2, {1: -1}),
        ([(1, 5), (2, 0)], 0, {}),
    ],
)
def test_few_priorities_change(order: list[tuple[int, int]], moved: int, changes: dict[int, int]) -> None:
    assert new_priorities(order, moved) == changes


def test_jobs_move_up_down_to_the_top_and_to_the_end(database: Database) -> None:
    enqueue(database, "test", [NewJob(name, "sft", {}) for name in "abcd"])

    def order() -> str:
        found = sorted(jobs.list_jobs(database), key=lambda job: (-job.priority, job.id))
        return "".join(job.name for job in found)

    said = reorder.move_job(database, 3, "up")
    assert (order(), said) == ("acbd", "job 3 is number 2 of 4; 1 other had to change priority with it")
    reorder.move_job(database, 1, "down")
    assert order() == "cabd"
    assert reorder.move_job(database, 4, "top") == "job 4 is number 1 of 4"
    assert order() == "dcab"
    reorder.move_job(database, 3, "end")
    assert order() == "dabc"
    assert reorder.move_job(database, 3, "down") == "job 3 is last already"
    assert "priority" in (results.list_transitions(database, 3)[-1].reason or "")
    found = claim(database, 1, [])
    assert found is not None and found[0].name == "d"
    with pytest.raises(StoreError, match="has a place in the queue"):
        reorder.move_job(database, 4, "end")


def test_a_move_that_would_change_hundreds_of_jobs_is_refused(database: Database) -> None:
    enqueue(database, "test", [NewJob(str(number), "sft", {}) for number in range(1200)])
    with pytest.raises(StoreError, match="jobs would need another priority"):
        reorder.move_job(database, 601, "up")
    assert reorder.move_job(database, 601, "top") == "job 601 is number 1 of 1200"
