"""A job's life: enqueued, claimed, running, ended."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from store import faults, journal
from store.database import Database, StoreError
from store.jobs import Job, read_job
from store.moves import NOT_STARTED, log_transition, move
from store.needs import settle_dependents
from store.schema import (
    ACTIVE,
    FINAL,
    Status,
    attempts,
    dependencies,
    experiments,
    gpu_reservations,
    jobs,
)


@dataclass(frozen=True)
class NewJob:
    """A job to enqueue. `needs` names other jobs of the same submission, each with its alias in the recipe."""

    name: str
    engine: str
    recipe: dict[str, Any]
    needs: tuple[tuple[str, str | None], ...] = ()
    gpus: int | None = 0
    priority: int = 0
    retries: int = 0


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended, as the daemon saw it."""

    status: Status
    """Succeeded, failed or lost; queued when it was stopped to go on later, unless it is to be cancelled."""
    exit_code: int | None
    reason: str | None
    retry: bool = False
    """Whether the recipe's retry rule covers this ending."""
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
) -> tuple[int, list[int]]:
    """Queues one experiment, all of its jobs or none. Returns its id and the job ids in the order given."""
    now = time.time()
    with database.write() as connection:
        experiment_id = _inserted_id(
            connection,
            experiments.insert().values(
                name=name,
                created_at=now,
                recipe_path=recipe_path,
                recipe_text=recipe_text,
                provenance=provenance or {},
            ),
        )
        ids: dict[str, int] = {}
        for job in new_jobs:
            status = Status.BLOCKED if job.needs else Status.QUEUED
            ids[job.name] = _inserted_id(
                connection,
                jobs.insert().values(
                    experiment_id=experiment_id,
                    name=job.name,
                    engine=job.engine,
                    recipe=job.recipe,
                    status=status,
                    priority=job.priority,
                    held=held,
                    gpus=job.gpus,
                    retries_left=job.retries,
                    created_at=now,
                ),
            )
            log_transition(connection, ids[job.name], None, status, 0, "submitted", now)
        for job in new_jobs:
            for needed, alias in job.needs:
                connection.execute(
                    dependencies.insert().values(job_id=ids[job.name], needs_job_id=ids[needed], alias=alias)
                )
        faults.point("submit.inserted")
        try:
            journal.write_submission(connection, database.home, experiment_id)
        except OSError as error:
            raise StoreError(
                f"{database.home}: the submission cannot be written: {error.strerror}"
            ) from error
    faults.point("submit.committed")
    return experiment_id, list(ids.values())


def claim(database: Database, cpu_slots: int, gpu_uuids: Sequence[str]) -> tuple[Job, list[str]] | None:
    """Takes the next job that fits and reserves its slot and GPUs, in one transaction. Returns the job and its GPUs.

    Order: priority, then age. CPU jobs never wait behind GPU jobs. A GPU job whose turn it is holds back later GPU
    jobs until enough GPUs are free, so that a large job is not starved; one that can never fit holds back nobody.
    """
    with database.write() as connection:
        taken = set(connection.execute(select(gpu_reservations.c.uuid)).scalars())
        free = [uuid for uuid in gpu_uuids if uuid not in taken]
        busy = connection.execute(
            select(func.count())
            .select_from(jobs)
            .where(jobs.c.status.in_(ACTIVE), jobs.c.id.not_in(select(gpu_reservations.c.job_id)))
        ).scalar_one()
        wanted = func.coalesce(jobs.c.gpus, min(1, len(gpu_uuids)))
        ready = (
            select(jobs.c.id, wanted.label("gpus"))
            .where(jobs.c.status == Status.QUEUED, ~jobs.c.held)
            .order_by(jobs.c.priority.desc(), jobs.c.id)
            .limit(1)
        )
        chosen = None
        if free:
            first = connection.execute(ready.where(wanted > 0, wanted <= len(gpu_uuids))).first()
            chosen = first if first and first.gpus <= len(free) else None
        if chosen is None and busy < cpu_slots:
            chosen = connection.execute(ready.where(wanted == 0)).first()
        if chosen is None:
            return None
        devices = free[: chosen.gpus]
        number, now = move(connection, chosen.id, Status.STARTING, "claimed", new_attempt=True), time.time()
        for uuid in devices:
            connection.execute(gpu_reservations.insert().values(uuid=uuid, job_id=chosen.id))
        connection.execute(
            attempts.insert().values(job_id=chosen.id, number=number, claimed_at=now, devices=devices)
        )
        faults.point("reserve.uncommitted")
        return read_job(connection, chosen.id), devices


def mark_running(database: Database, job_id: int, process: dict[str, Any]) -> None:
    """The supervisor has started the worker; `process` is what it wrote about the two."""
    with database.write() as connection:
        number = move(connection, job_id, Status.RUNNING, None, started_at=process["started_at"])
        connection.execute(
            attempts.update()
            .where(attempts.c.job_id == job_id, attempts.c.number == number)
            .values(process=process, started_at=process["started_at"])
        )
        faults.point("adopt.uncommitted")
    faults.point("adopt.committed")


def finish(database: Database, job_id: int, outcome: Outcome) -> Status:
    """Ends the current attempt, frees what it held, and lets the jobs that wait for it go on. Returns the new status."""
    ended_at = outcome.ended_at or time.time()
    with database.write() as connection:
        job = read_job(connection, job_id)
        connection.execute(gpu_reservations.delete().where(gpu_reservations.c.job_id == job_id))
        connection.execute(
            attempts.update()
            .where(attempts.c.job_id == job_id, attempts.c.number == job.attempt)
            .values(
                ended_at=ended_at, exit_code=outcome.exit_code, outcome=outcome.status, usage=outcome.usage
            )
        )
        status, reason, retries_left = outcome.status, outcome.reason, job.retries_left
        if outcome.retry and job.retries_left > 0 and not job.cancel_requested:
            status = Status.QUEUED
            reason = f"attempt {job.attempt} {outcome.status}: {outcome.reason}; queued again"
            retries_left -= 1
        elif status is Status.QUEUED and job.cancel_requested:
            status, reason = Status.CANCELLED, "cancelled while it ran"
        changes = {"ended_at": ended_at} if status in FINAL else NOT_STARTED
        move(
            connection,
            job_id,
            status,
            reason,
            exit_code=outcome.exit_code,
            retries_left=retries_left,
            **changes,
        )
        if status in FINAL:
            settle_dependents(connection, job_id, status)
        faults.point("finish.uncommitted")
    faults.point("finish.committed")
    return status


def _inserted_id(connection: Connection, insert: Any) -> int:
    key = connection.execute(insert).inserted_primary_key
    assert key is not None
    return int(key[0])
