"""Who takes whose output, over all experiments."""

from sqlalchemy import select

from store.database import Database
from store.schema import dependencies


def all_links(database: Database, source: int | None = None) -> list[tuple[int, int]]:
    """(job, the job whose output it takes), or those of one source. Jobs that only wait for another take nothing of it."""
    columns = dependencies.c
    query = select(columns.job_id, columns.needs_job_id).where(columns.alias.is_not(None))
    if source is not None:
        query = query.where(columns.needs_job_id == source)
    with database.read() as connection:
        return [(job, needed) for job, needed in connection.execute(query)]
