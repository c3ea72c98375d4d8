"""What people may wish of a job: cancel, retry, hold, release, another priority.

Wishes work with no daemon running: a waiting job is changed on the spot, a running one is marked for the daemon.
"""

import time

from sqlalchemy import Connection

from store import journal
from store.database import Database, StoreError
from store.jobs import Job, read_job
from store.moves import NOT_STARTED, log_transition, move
from store.needs import dependents_of, hopeless_needs, settle_dependents, unmet_needs
from store.schema import FINAL, WAITING, Status, jobs

NEVER_STARTED = "cancelled before it started"


def request_cancel(database: Database, job_id: int) -> Job:
    """Cancels a waiting job at once; asks the daemon to stop a running one."""
    with database.write() as connection:
        job = read_job(connection, job_id)
        if job.status is Status.CANCELLED:
            return job  # cancelling what it needs may have done it a moment ago
        if job.is_final:
            raise StoreError(
                f"job {job_id}: is already {job.status}; only a job that has not ended can be cancelled"
            )
        connection.execute(jobs.update().where(jobs.c.id == job_id).values(cancel_requested=True))
        journal.mark(connection, job_id)
        if job.status in WAITING:
            move(connection, job_id, Status.CANCELLED, NEVER_STARTED, ended_at=time.time())
            settle_dependents(connection, job_id, Status.CANCELLED)
        return read_job(connection, job_id)


def undo_cancel(database: Database, job_id: int) -> Job:
    """Takes back the cancel of a job that was waiting: it has its place, its hold and its dependents again."""
    with database.write() as connection:
        job = read_job(connection, job_id)
        if job.status in WAITING:
            return job  # it came back with a job that it needs, a moment ago
        if job.status is not Status.CANCELLED or job.reason != NEVER_STARTED:
            was = job.reason if job.status is Status.CANCELLED and job.reason else f"is {job.status}"
            raise StoreError(
                f"job {job_id}: {was}; only the cancel of a waiting job can be undone\n"
                "hint: `tunedeck retry` queues an ended job again"
            )
        _requeue_with_dependents(connection, job_id, "its cancel was undone")
        return read_job(connection, job_id)


def retry(database: Database, job_id: int) -> Job:
    """Queues an ended job again; it resumes from its last checkpoint. Jobs that were given up because of it wait again."""
    with database.write() as connection:
        job = read_job(connection, job_id)
        if job.status not in FINAL or job.status is Status.SUCCEEDED:
            raise StoreError(
                f"job {job_id}: is {job.status}; only a failed, cancelled or lost job can be retried\n"
                "hint: submit its recipe again to run a succeeded job once more"
            )
        if hopeless_needs(connection, job_id):
            raise StoreError(
                f"job {job_id}: needs a job that has ended without success, and would wait for ever\n"
                f"hint: retry that one first; `tunedeck show {job_id}` names it"
            )
        _requeue_with_dependents(connection, job_id, "retried")
        return read_job(connection, job_id)


def set_held(database: Database, job_id: int, held: bool) -> Job:
    """Holds a waiting job back, or releases it."""
    return _change_waiting(
        database, job_id, "can be held or released", "held" if held else "released", held=held
    )


def set_priority(database: Database, job_id: int, priority: int) -> Job:
    """Higher runs first."""
    return _change_waiting(
        database, job_id, "has a place in the queue", f"priority {priority}", priority=priority
    )


def _change_waiting(database: Database, job_id: int, what_may: str, note: str, **changes: int | None) -> Job:
    """Changes a job that waits, with a line in the audit log; refuses any other."""
    with database.write() as connection:
        job = read_job(connection, job_id)
        if job.status not in WAITING:
            raise StoreError(f"job {job_id}: is {job.status}; only a queued or blocked job {what_may}")
        if job.held and changes.get("held") is False:
            changes["reason"] = None  # it may say why it was held
        connection.execute(jobs.update().where(jobs.c.id == job_id).values(**changes))
        log_transition(connection, job_id, job.status, job.status, job.attempt, note, time.time())
        return read_job(connection, job_id)


def _requeue_with_dependents(connection: Connection, job_id: int, reason: str) -> None:
    _requeue(connection, job_id, reason)
    retried = [job_id]
    while retried:
        needed = retried.pop()
        # A dependent that nobody cancelled was given up because of this job, or of another that still stands in its way.
        for dependent in dependents_of(connection, needed, Status.CANCELLED):
            if not dependent.cancel_requested and not hopeless_needs(connection, dependent.id):
                _requeue(connection, dependent.id, f"job {needed} was retried")
                retried.append(dependent.id)


def _requeue(connection: Connection, job_id: int, reason: str) -> None:
    status = Status.BLOCKED if unmet_needs(connection, job_id) else Status.QUEUED
    move(
        connection,
        job_id,
        status,
        reason,
        cancel_requested=False,
        not_before=None,
        **NOT_STARTED,
        exit_code=None,
    )
