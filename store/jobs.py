"""Jobs as the rest of Tunedeck reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, Select, Text, and_, bindparam, cast, func, or_, select

from store.database import Database, StoreError
from store.filter_tree import EVERYTHING, Node
from store.job_filter import condition
from store.schema import ACTIVE, FINAL, Status, dependencies, experiments, jobs


@dataclass(frozen=True)
class Job:
    """A row of the queue."""

    id: int
    experiment_id: int
    experiment: str
    name: str
    engine: str
    recipe: dict[str, Any]
    status: Status
    priority: int
    held: bool
    cancel_requested: bool
    gpus: int | None
    gpu_memory: int | None
    group: str | None
    slurm: str | None
    """Profile of the Slurm that it runs through; None: this machine."""
    not_before: float | None
    fallbacks: int
    retries_left: int
    attempt: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    reason: str | None
    progress_done: float | None
    progress_total: float | None
    progress_unit: str | None
    progress_at: float | None
    events_offset: int
    unreadable_lines: int

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


def get_job(database: Database, job_id: int) -> Job:
    with database.read() as connection:
        return read_job(connection, job_id)


def list_jobs(
    database: Database,
    *,
    statuses: Sequence[Status] = (),
    experiment: str | int | None = None,
    ids: Sequence[int] = (),
    limit: int | None = None,
    where: Node = EVERYTHING,
) -> list[Job]:
    """Jobs by id. `experiment` is an experiment's number, or as text its name or number. With `limit`, the newest ones.

    `where` is a filter in the words of `store/filter_language.py`, parsed.
    """
    query = _job_query()
    if where != EVERYTHING:
        query = query.where(condition(where, database.now()))
    if statuses:
        query = query.where(jobs.c.status.in_(statuses))
    if isinstance(experiment, int):
        query = query.where(experiments.c.id == experiment)
    elif experiment is not None:
        number = cast(experiments.c.id, Text) == experiment
        query = query.where(or_(experiments.c.name == experiment, number))
    if ids:
        query = query.where(jobs.c.id.in_(ids))
    with database.read() as connection:
        rows = connection.execute(query.order_by(jobs.c.id.desc()).limit(limit)).all()
    return [_job(row) for row in reversed(rows)]


def list_active(database: Database) -> list[Job]:
    """The jobs that have a process, or are about to, by id: what the daemon asks for in every round."""
    with database.read() as connection:
        return [_job(row) for row in connection.execute(_ACTIVE)]


def count_by_status(database: Database) -> dict[Status, int]:
    with database.read() as connection:
        rows = connection.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status)).all()
    return {Status(status): count for status, count in rows}


_NEEDS = select(dependencies.c.needs_job_id, dependencies.c.alias).where(
    dependencies.c.job_id == bindparam("job_id")
)


def needs_of(database: Database, job_id: int) -> list[tuple[Job, str | None]]:
    """The jobs that this one needs, each with its alias in the recipe."""
    with database.read() as connection:
        rows = connection.execute(_NEEDS, {"job_id": job_id}).all()
        return [(read_job(connection, needed), alias) for needed, alias in rows]


def links_of(database: Database, experiment_id: int) -> list[tuple[int, int, str | None]]:
    """Who needs whom in an experiment: job, needed job, and the needed one's alias in the recipe."""
    query = (
        select(dependencies.c.job_id, dependencies.c.needs_job_id, dependencies.c.alias)
        .join(jobs, jobs.c.id == dependencies.c.job_id)
        .where(jobs.c.experiment_id == experiment_id)
        .order_by(dependencies.c.job_id, dependencies.c.needs_job_id)
    )
    with database.read() as connection:
        return [(job, needed, alias) for job, needed, alias in connection.execute(query)]


def ahead_of(database: Database, job: Job) -> int:
    """How many ready jobs of this machine, or of the same Slurm profile, come before a queued one."""
    before = or_(jobs.c.priority > job.priority, and_(jobs.c.priority == job.priority, jobs.c.id < job.id))
    same = jobs.c.slurm.is_not_distinct_from(job.slurm)
    query = (
        select(func.count())
        .select_from(jobs)
        .where(jobs.c.status == Status.QUEUED, ~jobs.c.held, same, before)
    )
    with database.read() as connection:
        return connection.execute(query).scalar_one()


def _job_query() -> Select[Any]:
    return select(jobs, experiments.c.name.label("experiment")).join(experiments)


_JOB_FIELDS = [field.name for field in fields(Job)]


def _job(row: Row[Any]) -> Job:
    columns = row._mapping
    values = {name: columns[name] for name in _JOB_FIELDS}
    return Job(**values | {"status": Status(values["status"])})


_ACTIVE = _job_query().where(jobs.c.status.in_(ACTIVE)).order_by(jobs.c.id)
_ONE_JOB = _job_query().where(jobs.c.id == bindparam("job_id"))


def read_job(connection: Connection, job_id: int) -> Job:
    row = connection.execute(_ONE_JOB, {"job_id": job_id}).first()
    if row is None:
        raise StoreError(f"job {job_id}: there is no such job\nhint: `tunedeck jobs` lists them")
    return _job(row)
