"""Schedules driven by a daemon: queued when due, once for all that was missed, and through its restarts."""

import time
from typing import Any

import pytest

from daemon.calendar import Calendar
from engines.recipe.cron import next_time
from store import jobs, machine, schedules
from store.database import Database
from store.lifecycle import NewJob
from store.schema import Status

EVERY_MINUTE = "* * * * *"
VALUES: dict[str, Any] = {"recipe_path": "", "recipe_text": "", "provenance": {}, "hold_after": None}


def add(database: Database, next_at: float, cron: str = EVERY_MINUTE) -> int:
    recipe = {"engine": "command", "argv": ["true"], "env": {}, "cwd": None}
    return schedules.add_schedule(
        database, "nightly", cron, next_at, [NewJob("a", "command", recipe)], **VALUES
    )


def test_a_hundred_missed_times_are_made_up_for_by_one_experiment(database: Database) -> None:
    add(database, time.time() - 6000)
    seconds = Calendar(database).round()

    assert len(jobs.list_jobs(database)) == 1
    assert 0 < seconds <= 60
    assert Calendar(database).round() <= 60  # a daemon that starts right after finds nothing due
    assert len(jobs.list_jobs(database)) == 1


def test_a_running_calendar_follows_what_people_change(database: Database) -> None:
    calendar = Calendar(database)
    assert calendar.round() == float("inf")
    first, second = add(database, time.time() + 1e5), add(database, time.time() + 1e6)
    assert calendar.round() == pytest.approx(1e5, abs=60)
    schedules.set_paused(database, first, True, time.time() + 1e5)
    assert calendar.round() == pytest.approx(1e6, abs=60)
    schedules.set_paused(database, first, False, time.time() - 1)
    calendar.round()
    assert len(jobs.list_jobs(database)) == 1
    for schedule_id in (first, second):
        schedules.remove_schedule(database, schedule_id)
    assert calendar.round() == float("inf")


def test_a_time_that_could_not_be_queued_is_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for a moment must not cost a night."""
    add(database, time.time() - 10)
    calendar = Calendar(database)
    with database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON jobs BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    calendar.round()
    assert jobs.list_jobs(database) == []
    with database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER full")
    calendar.round()

    assert len(jobs.list_jobs(database)) == 1


def test_a_daemon_queues_and_runs_what_is_due_and_the_next_daemon_does_not_repeat_it(
    start_daemon: Any, database: Database, until: Any
) -> None:
    daemon = start_daemon()
    schedule_id = add(database, time.time() + 1, "0 0 1 1 *")
    machine.nudge(database.home)
    until(lambda: jobs.count_by_status(database) == {Status.SUCCEEDED: 1})
    daemon.kill()
    daemon.wait()
    start_daemon()
    schedule = schedules.get_schedule(database, schedule_id)

    assert schedule.next_at == next_time("0 0 1 1 *", time.time())
    assert jobs.count_by_status(database) == {Status.SUCCEEDED: 1}
