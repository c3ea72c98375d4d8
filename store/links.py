"""Who takes whose output, over all experiments."""

from sqlalchemy import select

from store.database import Database
from store.schema import dependencies


def all_links(database: Database) -> list[tuple[int, int]]:
    """(job, the job whose output it takes). Jobs that only wait for another take nothing of it."""
    query = select(dependencies.c.job_id, dependencies.c.needs_job_id).where(
        dependencies.c.alias.is_not(None)
    )
    with database.read() as connection:
        return [(job, source) for job, source in connection.execute(query)]
