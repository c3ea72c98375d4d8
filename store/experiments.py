"""New experiments: their rows, and the key under which somebody submits one only once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from store import faults, journal
from store.database import StoreError
from store.moves import log_transition
from store.schema import Status, dependencies, experiments, jobs


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
    gpu_memory: int | None = None
    """Bytes of each GPU; None: whole cards."""
    group: str | None = None
    not_before: float | None = None
    """Unix seconds before which it does not start."""
    slurm: str | None = None
    """Profile of the Slurm that it is to run through; None: this machine."""


def insert_experiment(
    connection: Connection, home: Path, new_jobs: Sequence[NewJob], *, held: bool = False, **values: Any
) -> tuple[int, list[int]]:
    """One experiment with its jobs. `values` are columns of its row. Returns its id and the job ids in the order given."""
    now = time.time()
    experiment_id = _inserted_id(connection, experiments.insert().values(created_at=now, **values))
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
                gpu_memory=job.gpu_memory,
                group=job.group,
                slurm=job.slurm,
                not_before=job.not_before,
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
        journal.write_submission(connection, home, experiment_id)
    except OSError as error:
        raise StoreError(f"{home}: the submission cannot be written: {error.strerror}") from error
    return experiment_id, list(ids.values())


def find_key(connection: Connection, key: str, new_jobs: Sequence[NewJob]) -> tuple[int, list[int]] | None:
    """The experiment that was submitted under this key. StoreError where its jobs are others than these."""
    experiment_id = connection.execute(select(experiments.c.id).where(experiments.c.key == key)).scalar()
    if experiment_id is None:
        return None
    query = select(jobs.c.id, jobs.c.name, jobs.c.recipe).where(jobs.c.experiment_id == experiment_id)
    rows = connection.execute(query.order_by(jobs.c.id)).all()
    if [(row.name, row.recipe) for row in rows] != [(job.name, job.recipe) for job in new_jobs]:
        raise StoreError(
            f"key `{key}`: experiment {experiment_id} was submitted under it, with other jobs or other settings\n"
            "hint: take another key for another experiment"
        )
    return int(experiment_id), [row.id for row in rows]


def _inserted_id(connection: Connection, insert: Any) -> int:
    key = connection.execute(insert).inserted_primary_key
    assert key is not None
    return int(key[0])
