"""What the store keeps of jobs in Slurm's hands: who they are there, why they wait, and what the daemon can tell of Slurm."""

from typing import Any

from sqlalchemy import func, select

from store import journal
from store.database import Database
from store.jobs import Job
from store.schema import ACTIVE, attempts, daemon, jobs


def attempts_of(database: Database, job_id: int) -> list[dict[str, Any]]:
    """What each attempt at a job has on record about Slurm, in order: {profile, name, id, state, ...}."""
    query = select(attempts.c.slurm).where(attempts.c.job_id == job_id).order_by(attempts.c.number)
    with database.read() as connection:
        return [facts or {} for facts in connection.execute(query).scalars()]


def note(database: Database, job: Job, **facts: Any) -> dict[str, Any]:
    """Adds to what is on record about the job's current attempt, and returns all of it."""
    this = (attempts.c.job_id == job.id, attempts.c.number == job.attempt)
    with database.write() as connection:
        known = connection.execute(select(attempts.c.slurm).where(*this)).scalar() or {}
        connection.execute(attempts.update().where(*this).values(slurm=known | facts))
        journal.mark(connection, job.id)
    return known | facts


def say(database: Database, job: Job, reason: str) -> None:
    """Where the job is in Slurm, in words, as long as it is active; its status does not change by that."""
    with database.write() as connection:
        this = jobs.update().where(jobs.c.id == job.id, jobs.c.status.in_(ACTIVE))
        connection.execute(this.values(reason=reason))
        journal.mark(connection, job.id)


def count_active(database: Database) -> dict[str, int]:
    """How many jobs of each profile are in Slurm, or on their way there."""
    query = (
        select(jobs.c.slurm, func.count())
        .where(jobs.c.status.in_(ACTIVE), jobs.c.slurm.is_not(None))
        .group_by(jobs.c.slurm)
    )
    with database.read() as connection:
        return {str(profile): count for profile, count in connection.execute(query)}


def publish(database: Database, slots: dict[str, int], trouble: str | None) -> None:
    """The running daemon's profiles with their slots, and why it cannot ask Slurm, where it cannot."""
    with database.write() as connection:
        connection.execute(daemon.update().values(slurm={"slots": slots, "trouble": trouble}))


def published(database: Database) -> tuple[dict[str, int], str | None]:
    """What `publish` has said last: slots by profile, and the trouble."""
    with database.read() as connection:
        said = connection.execute(select(daemon.c.slurm)).scalar() or {}
    return said.get("slots", {}), said.get("trouble")
