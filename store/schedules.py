"""Recipes with `cron:`: frozen when they are submitted, queued as a new experiment each time that is due.

When a schedule is due, its experiment and its next time are written in one transaction, so that a daemon that is killed
in between queues it once. Times that passed while no daemon ran are made up for by one experiment.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from store import journal
from store.database import Database, StoreError
from store.experiments import NewJob, insert_experiment
from store.schema import schedules


@dataclass(frozen=True)
class Schedule:
    """A recipe that is queued at its times."""

    id: int
    name: str
    cron: str
    created_at: float
    next_at: float | None
    last_at: float | None
    last_experiment_id: int | None
    paused: bool


_COLUMNS = [schedules.c[name] for name in Schedule.__dataclass_fields__]


def add_schedule(
    database: Database, name: str, cron: str, next_at: float | None, new_jobs: Sequence[NewJob], **values: Any
) -> int:
    """A new schedule. `values` are the other columns of its experiments. Returns its id."""
    submission = {"jobs": [asdict(job) for job in new_jobs], "experiment": values}
    row = {
        "name": name,
        "cron": cron,
        "submission": submission,
        "created_at": time.time(),
        "next_at": next_at,
    }
    with database.write() as connection:
        key = connection.execute(schedules.insert().values(**row)).inserted_primary_key
        journal.write_standing(connection, database.home)
    assert key is not None
    return int(key[0])


_ALL = select(*_COLUMNS).order_by(schedules.c.id)


def list_schedules(database: Database) -> list[Schedule]:
    with database.read() as connection:
        rows = connection.execute(_ALL).all()
    return [Schedule(*row) for row in rows]


def queue_due(
    database: Database, schedule_id: int, next_time: Callable[[str, float], float | None]
) -> int | None:
    """Queues a schedule that is due and moves it to its next time. Returns the experiment's id; None when it is not due."""
    now = time.time()
    with database.write() as connection:
        row = connection.execute(select(schedules).where(schedules.c.id == schedule_id)).first()
        if row is None or row.paused or row.next_at is None or row.next_at > now:
            return None
        new_jobs = [_new_job(job) for job in row.submission["jobs"]]
        key = f"schedule {row.id} at {row.next_at:.0f}"
        values = row.submission["experiment"]
        experiment_id, _ = insert_experiment(
            connection, database.home, new_jobs, name=row.name, key=key, **values
        )
        changes = {"last_at": now, "last_experiment_id": experiment_id, "next_at": next_time(row.cron, now)}
        connection.execute(schedules.update().where(schedules.c.id == schedule_id).values(**changes))
        journal.write_standing(connection, database.home)
        return experiment_id


def set_paused(database: Database, schedule_id: int, paused: bool, next_at: float | None) -> None:
    """Pauses a schedule, or lets it go on from `next_at`: what it missed is not made up for."""
    _change(database, schedule_id, schedules.update().values(paused=paused, next_at=next_at))


def remove_schedule(database: Database, schedule_id: int) -> None:
    """No more experiments; those that it has queued stay."""
    _change(database, schedule_id, schedules.delete())


def get_schedule(database: Database, schedule_id: int) -> Schedule:
    found = [schedule for schedule in list_schedules(database) if schedule.id == schedule_id]
    if not found:
        raise _missing(schedule_id)
    return found[0]


def _change(database: Database, schedule_id: int, statement: Any) -> None:
    with database.write() as connection:
        if not connection.execute(statement.where(schedules.c.id == schedule_id)).rowcount:
            raise _missing(schedule_id)
        journal.write_standing(connection, database.home)


def _missing(schedule_id: int) -> StoreError:
    return StoreError(f"schedule {schedule_id}: there is none\nhint: `tunedeck schedules` lists them")


def _new_job(job: dict[str, Any]) -> NewJob:
    return NewJob(**job | {"needs": tuple((name, alias) for name, alias in job["needs"])})
