"""Changes of a job's status: which are allowed, and the audit log of them.

Every change goes through `move`, which refuses to leave a final status by accident.
"""

import time
from typing import Any

from sqlalchemy import Connection, bindparam, select

from store import journal
from store.database import StoreError
from store.schema import FINAL, Status, jobs, transitions

NOT_STARTED: dict[str, Any] = {"started_at": None, "ended_at": None}
"""The times of a job that waits, whatever it did before."""

_ALLOWED: dict[Status, tuple[Status, ...]] = {
    Status.BLOCKED: (Status.QUEUED, Status.CANCELLED),
    Status.QUEUED: (Status.STARTING, Status.CANCELLED, Status.BLOCKED),
    Status.STARTING: (Status.RUNNING, Status.QUEUED, *FINAL),
    Status.RUNNING: (Status.QUEUED, *FINAL),
    # Out of a final status only by an explicit retry.
    Status.FAILED: (Status.QUEUED, Status.BLOCKED),
    Status.CANCELLED: (Status.QUEUED, Status.BLOCKED),
    Status.LOST: (Status.QUEUED, Status.BLOCKED),
    Status.SUCCEEDED: (),
}


# Made once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_NOW = select(jobs.c.status, jobs.c.attempt).where(jobs.c.id == bindparam("moved"))
_CHANGE = jobs.update().where(jobs.c.id == bindparam("moved"))
_LOG = transitions.insert()


def move(
    connection: Connection,
    job_id: int,
    to: Status,
    reason: str | None,
    *,
    new_attempt: bool = False,
    **changes: Any,
) -> int:
    """Changes the status, logs it, and returns the number of the current attempt."""
    row = connection.execute(_NOW, {"moved": job_id}).one()
    if to not in _ALLOWED[Status(row.status)]:
        raise StoreError(f"job {job_id}: cannot go from {row.status} to {to}")
    attempt = int(row.attempt) + new_attempt
    changed = {"status": to, "reason": reason, "attempt": attempt, **changes}
    connection.execute(_CHANGE, {"moved": job_id} | changed)
    log_transition(connection, job_id, row.status, to, attempt, reason, time.time())
    return attempt


def log_transition(
    connection: Connection,
    job_id: int,
    old: str | None,
    new: str,
    attempt: int,
    reason: str | None,
    now: float,
) -> None:
    values = {"time": now, "from_status": old, "to_status": new, "attempt": attempt, "reason": reason}
    connection.execute(_LOG, {"job_id": job_id} | values)
    journal.mark(connection, job_id, values)
