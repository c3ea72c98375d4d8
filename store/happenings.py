"""What has happened since somebody looked last: lines of the audit log and warnings of workers behind a place in each."""

from dataclasses import dataclass

from sqlalchemy import func, select

from store.database import Database
from store.schema import messages, transitions

MOST = 1000
"""Lines of each that are read at once."""


@dataclass(frozen=True)
class Place:
    """The newest line of the audit log and the newest message that were seen."""

    transition: int
    message: int


@dataclass(frozen=True)
class Change:
    """A job's way from one status to another."""

    job_id: int
    to_status: str
    reason: str | None


@dataclass(frozen=True)
class Warned:
    """A warning or an error that a worker told."""

    job_id: int
    level: str
    text: str


def newest_place(database: Database) -> Place:
    with database.read() as connection:
        last = [
            connection.execute(select(func.max(table.c.id))).scalar() for table in (transitions, messages)
        ]
    return Place(last[0] or 0, last[1] or 0)


def happened_after(database: Database, place: Place) -> tuple[Place, list[Change], list[Warned]]:
    """What came behind a place, oldest first, and the place to ask from the next time."""
    log, told = transitions.c, messages.c
    # A line from a status to the same is a remark about a job that had ended before.
    changes = (
        select(log.id, log.job_id, log.to_status, log.reason)
        .where(log.id > place.transition, log.from_status.is_distinct_from(log.to_status))
        .order_by(log.id)
        .limit(MOST)
    )
    warnings = (
        select(told.id, told.job_id, told.level, told.text)
        .where(told.id > place.message, told.level.in_(("warning", "error")))
        .order_by(told.id)
        .limit(MOST)
    )
    with database.read() as connection:
        moved = connection.execute(changes).all()
        warned = connection.execute(warnings).all()
    seen = Place(
        max([place.transition, *(row[0] for row in moved)]), max([place.message, *(row[0] for row in warned)])
    )
    return seen, [Change(*row[1:]) for row in moved], [Warned(*row[1:]) for row in warned]
