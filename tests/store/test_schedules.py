"""Schedules in the store: due once, frozen, and gone when they are removed."""

import threading
import time

import pytest

from store import jobs, schedules
from store.database import Database, StoreError
from store.lifecycle import NewJob

NOW = time.time()


def later(cron: str, after: float) -> float:
    return after + 3600


def add(database: Database, next_at: float | None) -> int:
    new = [NewJob("a", "command", {"x": 1}), NewJob("b", "command", {}, needs=(("a", "a"),), gpus=2)]
    values = {"recipe_path": "r.yaml", "recipe_text": "text", "provenance": {"cwd": "/"}, "hold_after": None}
    return schedules.add_schedule(database, "nightly", "0 22 * * *", next_at, new, **values)


def test_a_schedule_that_is_due_queues_its_jobs_as_they_were_submitted_and_moves_on(
    database: Database,
) -> None:
    schedule_id = add(database, NOW - 10)
    experiment_id = schedules.queue_due(database, schedule_id, later)

    assert experiment_id is not None
    a, b = jobs.list_jobs(database, experiment=experiment_id)
    assert (a.experiment, a.name, a.recipe, b.status, b.gpus) == ("nightly", "a", {"x": 1}, "blocked", 2)
    assert [(job.id, alias) for job, alias in jobs.needs_of(database, b.id)] == [(a.id, "a")]
    schedule = schedules.get_schedule(database, schedule_id)
    assert schedule.next_at == pytest.approx(time.time() + 3600, abs=60)
    assert schedule.last_experiment_id == experiment_id


def test_a_schedule_that_is_not_due_or_paused_or_over_queues_nothing(database: Database) -> None:
    paused = add(database, NOW - 10)
    schedules.set_paused(database, paused, True, NOW - 10)
    for schedule_id in (add(database, NOW + 1000), paused, add(database, None), 999):
        assert schedules.queue_due(database, schedule_id, later) is None
    assert jobs.list_jobs(database) == []


def test_many_who_ask_at_once_queue_it_once(database: Database) -> None:
    schedule_id = add(database, NOW - 10)
    queued: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: queued.append(schedules.queue_due(database, schedule_id, later)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(queued, key=lambda one: one is None) == [1, None, None, None, None, None]
    assert len(jobs.list_jobs(database)) == 2


def test_a_removed_schedule_leaves_what_it_has_queued(database: Database) -> None:
    schedule_id = add(database, NOW - 10)
    schedules.queue_due(database, schedule_id, later)
    schedules.remove_schedule(database, schedule_id)

    assert schedules.list_schedules(database) == []
    assert len(jobs.list_jobs(database)) == 2
    with pytest.raises(StoreError, match=f"schedule {schedule_id}: there is none"):
        schedules.remove_schedule(database, schedule_id)
