"""A job's life: enqueued, claimed, running, ended."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from store import faults, journal
from store.database import Database
from store.experiments import NewJob, find_key, insert_experiment
from store.jobs import Job, read_job
from store.moves import NOT_STARTED, move
from store.needs import settle_dependents
from store.placement import Supply, choose
from store.schema import FINAL, Status, attempts, gpu_reservations, jobs
from store.sweeps import hold_after_failures

__all__ = ["NewJob", "Outcome", "claim", "enqueue", "finish", "mark_running", "record_changes"]


# Made once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_RESERVE = gpu_reservations.insert()
_RELEASE = gpu_reservations.delete().where(gpu_reservations.c.job_id == bindparam("job"))
_BEGIN_ATTEMPT = attempts.insert()
_CHANGE_ATTEMPT = attempts.update().where(
    attempts.c.job_id == bindparam("job"), attempts.c.number == bindparam("current")
)
_GPU_WANTED = (
    select(jobs.c.id)
    .where(jobs.c.status == Status.QUEUED, ~jobs.c.held, jobs.c.slurm.is_(None))
    .where(func.coalesce(jobs.c.gpus, 1) > 0)
    .limit(1)
)
_NEXT_START = select(func.min(jobs.c.not_before)).where(
    jobs.c.not_before > bindparam("now"), jobs.c.status == Status.QUEUED, ~jobs.c.held
)


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended, as the daemon saw it."""

    status: Status
    """Succeeded, failed or lost; queued when it was stopped to go on later, unless it is to be cancelled."""
    exit_code: int | None
    reason: str | None
    retry: bool = False
    """Whether the recipe's retry rule covers this ending."""
    delay: float = 0.0
    """Seconds to wait before that."""
    fallback: bool = False
    """Whether it ran out of memory and the recipe says what to change then; that is no retry of the rule's."""
    ended_at: float | None = None
    usage: dict[str, Any] | None = None


def enqueue(
    database: Database,
    name: str,
    new_jobs: Sequence[NewJob],
    *,
    recipe_path: str = "",
    recipe_text: str = "",
    provenance: dict[str, Any] | None = None,
    held: bool = False,
    key: str | None = None,
    hold_after: dict[str, Any] | None = None,
) -> tuple[int, list[int]]:
    """Queues one experiment, all of its jobs or none. Returns its id and the job ids in the order given.

    With a `key`, only once: the same jobs under the same key are those that are there already. `hold_after`
    ({failures, seconds}) holds the rest back after so many jobs have failed, each within so many seconds.
    """
    with database.write() as connection:
        if key is not None and (known := find_key(connection, key, new_jobs)):
            return known
        submitted = insert_experiment(
            connection,
            database.home,
            new_jobs,
            held=held,
            name=name,
            recipe_path=recipe_path,
            recipe_text=recipe_text,
            provenance=provenance or {},
            key=key,
            hold_after=hold_after,
        )
    faults.point("submit.committed")
    return submitted


def claim(
    database: Database,
    cpu_slots: int,
    gpu_uuids: Sequence[str],
    memory: Mapping[str, int] | None = None,
    machine_gpus: int | None = None,
    slurm: Mapping[str, int] | None = None,
) -> tuple[Job, list[str]] | None:
    """Takes the next job that fits and reserves its slot or its GPUs, in one transaction. Returns the job and its GPUs.

    `gpu_uuids` are the cards that may be given out, in order of preference; `memory` the bytes of each that jobs may
    share; `machine_gpus` counts the cards there are, should some be in foreign hands now. `slurm` says how many more
    jobs each profile of Slurm takes; a job that goes there holds nothing here.
    """
    cards = len(gpu_uuids) if machine_gpus is None else machine_gpus
    now = time.time()
    with database.write() as connection:
        chosen = choose(connection, Supply(cpu_slots, gpu_uuids, memory or {}, cards, slurm or {}), now)
        if chosen is None:
            return None
        number = move(
            connection, chosen.job_id, Status.STARTING, "claimed", new_attempt=True, not_before=None
        )
        for uuid in chosen.devices:
            row = {"uuid": uuid, "job_id": chosen.job_id, "memory_bytes": chosen.memory_bytes}
            connection.execute(_RESERVE, row)
        attempt = {"job_id": chosen.job_id, "number": number, "claimed_at": now, "devices": chosen.devices}
        if chosen.slurm:
            # The name is on record before Slurm hears it: whoever comes back after a crash can ask for it there.
            name = f"tunedeck-{secrets.token_hex(4)}-{chosen.job_id}-{number}"
            attempt["slurm"] = {"profile": chosen.slurm, "name": name}
        connection.execute(_BEGIN_ATTEMPT, attempt)
        faults.point("reserve.uncommitted")
        return read_job(connection, chosen.job_id), chosen.devices


def gpus_wanted(database: Database) -> bool:
    """Whether a job waits that would take a GPU."""
    with database.read() as connection:
        return connection.execute(_GPU_WANTED).first() is not None


def next_start(database: Database) -> float | None:
    """When the first of the queued jobs that wait for a time may start, in Unix seconds."""
    with database.read() as connection:
        return connection.execute(_NEXT_START, {"now": time.time()}).scalar()


def record_changes(database: Database, job: Job, changes: dict[str, Any]) -> None:
    """Writes down what the current attempt runs other than the job's recipe."""
    with database.write() as connection:
        connection.execute(_CHANGE_ATTEMPT, {"job": job.id, "current": job.attempt, "changes": changes})
        journal.mark(connection, job.id)


def mark_running(database: Database, job_id: int, process: dict[str, Any]) -> None:
    """The supervisor has started the worker; `process` is what it wrote about the two."""
    with database.write() as connection:
        _mark_running(connection, job_id, process)
    faults.point("adopt.committed")


def _mark_running(connection: Connection, job_id: int, process: dict[str, Any]) -> None:
    number = move(connection, job_id, Status.RUNNING, None, started_at=process["started_at"])
    seen = {"process": process, "started_at": process["started_at"]}
    connection.execute(_CHANGE_ATTEMPT, {"job": job_id, "current": number} | seen)
    faults.point("adopt.uncommitted")


def finish(
    database: Database, job_id: int, outcome: Outcome, process: dict[str, Any] | None = None
) -> Status:
    """Ends the current attempt, frees what it held, and lets the jobs that wait for it go on. Returns the new status.

    With `process`, of an attempt that was over before it was seen to run.
    """
    ended_at = outcome.ended_at or time.time()
    with database.write() as connection:
        if process is not None:
            _mark_running(connection, job_id, process)
        job = read_job(connection, job_id)
        connection.execute(_RELEASE, {"job": job_id})
        ending = {"exit_code": outcome.exit_code, "outcome": outcome.status, "usage": outcome.usage}
        connection.execute(
            _CHANGE_ATTEMPT, {"job": job_id, "current": job.attempt, "ended_at": ended_at} | ending
        )
        status, reason = outcome.status, outcome.reason
        again = not job.cancel_requested and (outcome.fallback or (outcome.retry and job.retries_left > 0))
        if again:
            status = Status.QUEUED
            how = " with less memory" if outcome.fallback else ""
            reason = f"attempt {job.attempt} {outcome.status}: {outcome.reason}; queued again{how}"
        elif status is Status.QUEUED and job.cancel_requested:
            status, reason = Status.CANCELLED, "cancelled while it ran"
        changes = {"ended_at": ended_at} if status in FINAL else NOT_STARTED
        move(
            connection,
            job_id,
            status,
            reason,
            exit_code=outcome.exit_code,
            retries_left=job.retries_left - (again and not outcome.fallback),
            fallbacks=job.fallbacks + (again and outcome.fallback),
            not_before=ended_at + outcome.delay if again and outcome.delay else None,
            **changes,
        )
        if status in FINAL:
            settle_dependents(connection, job_id, status)
        if status is Status.FAILED:
            hold_after_failures(connection, job.experiment_id)
        faults.point("finish.uncommitted")
    faults.point("finish.committed")
    return status
