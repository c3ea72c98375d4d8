"""When something happened, for those who look for a moment of the past."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select

from store.database import Database
from store.schema import Status, experiments, transitions

_AT = transitions.c.time
_CHANGES = transitions.c.from_status.is_distinct_from(transitions.c.to_status)


def first_moment(database: Database) -> float | None:
    """When the first job was submitted, in Unix seconds."""
    return _scalar(database, select(func.min(experiments.c.created_at)))


def neighbour(database: Database, moment: float, forwards: bool, job_id: int | None = None) -> float | None:
    """When a job's status changed last before a moment, or next after it; of one job, or of any."""
    query = (
        select(func.min(_AT)).where(moment < _AT) if forwards else select(func.max(_AT)).where(moment > _AT)
    )
    if job_id is not None:
        query = query.where(transitions.c.job_id == job_id)
    return _scalar(database, query.where(_CHANGES))


def last_change(database: Database, job_id: int, to: Sequence[Status]) -> float | None:
    """When a job came to one of these statuses for the last time."""
    query = select(func.max(_AT)).where(transitions.c.job_id == job_id, transitions.c.to_status.in_(to))
    return _scalar(database, query.where(_CHANGES))


def _scalar(database: Database, query: Select[Any]) -> float | None:
    with database.read() as connection:
        found: float | None = connection.execute(query).scalar()
    return found
