"""Jobs that wait for other jobs: let go when all succeeded, given up when one did not."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from store.moves import move
from store.schema import FINAL, Status, dependencies, jobs

_DEPENDENTS = (
    select(jobs.c.id, jobs.c.cancel_requested)
    .join(dependencies, dependencies.c.job_id == jobs.c.id)
    .where(dependencies.c.needs_job_id == bindparam("needed"), jobs.c.status == bindparam("status"))
)


def settle_dependents(connection: Connection, job_id: int, status: Status) -> None:
    """Releases the jobs whose last need this was; gives up those that can no longer run, and those that need them."""
    ended = [(job_id, status)]
    while ended:
        needed, status = ended.pop()
        for dependent in dependents_of(connection, needed, Status.BLOCKED):
            if status is not Status.SUCCEEDED:
                name = connection.execute(select(jobs.c.name).where(jobs.c.id == needed)).scalar_one()
                was = "" if status is Status.FAILED else "was "
                reason = f"needs `{name}` (job {needed}), which {was}{status}"
                move(connection, dependent.id, Status.CANCELLED, reason, ended_at=time.time())
                ended.append((dependent.id, Status.CANCELLED))
            elif not unmet_needs(connection, dependent.id):
                move(connection, dependent.id, Status.QUEUED, None)


def unmet_needs(connection: Connection, job_id: int) -> int:
    """How many of the jobs that this one needs have not succeeded."""
    return _count_needs(connection, job_id, [status for status in Status if status is not Status.SUCCEEDED])


def hopeless_needs(connection: Connection, job_id: int) -> int:
    """How many of them never will, unless somebody retries them."""
    return _count_needs(connection, job_id, [status for status in FINAL if status is not Status.SUCCEEDED])


def _count_needs(connection: Connection, job_id: int, statuses: Sequence[Status]) -> int:
    query = (
        select(func.count())
        .select_from(dependencies.join(jobs, jobs.c.id == dependencies.c.needs_job_id))
        .where(dependencies.c.job_id == job_id, jobs.c.status.in_(statuses))
    )
    return connection.execute(query).scalar_one()


def dependents_of(connection: Connection, job_id: int, status: Status) -> list[Row[Any]]:
    return list(connection.execute(_DEPENDENTS, {"needed": job_id, "status": status}))
