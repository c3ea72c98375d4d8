"""Groups: jobs that share slots, and that are paused together."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.dialects.sqlite import insert

from store import journal
from store.database import Database
from store.schema import ACTIVE, WAITING, groups, jobs


@dataclass(frozen=True)
class Group:
    """A group that has a limit, or jobs that have not ended. `slots` None: no limit."""

    name: str
    slots: int | None
    paused: bool
    running: int
    waiting: int


def set_group(database: Database, name: str, **changes: Any) -> None:
    """Sets `slots` (None: no limit) or `paused`. Running jobs go on either way."""
    values = {"slots": None, "paused": False} | changes
    with database.write() as connection:
        statement = insert(groups).values(name=name, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changes or values))
        journal.write_standing(connection, database.home)


def list_groups(database: Database) -> list[Group]:
    """By name, with how many of their jobs run and wait."""
    running, waiting = (
        func.coalesce(func.sum(case((jobs.c.status.in_(statuses), 1), else_=0)), 0)
        for statuses in (ACTIVE, WAITING)
    )
    named = (
        select(groups.c.name)
        .union(select(jobs.c.group).where(jobs.c.group.is_not(None), jobs.c.status.in_((*ACTIVE, *WAITING))))
        .subquery()
    )
    query = (
        select(named.c.name, groups.c.slots, func.coalesce(groups.c.paused, False), running, waiting)
        .select_from(
            named.outerjoin(groups, groups.c.name == named.c.name).outerjoin(
                jobs, jobs.c.group == named.c.name
            )
        )
        .group_by(named.c.name)
        .order_by(named.c.name)
    )
    with database.read() as connection:
        return [Group(*row) for row in connection.execute(query)]


def get_group(database: Database, name: str) -> Group:
    """A group as it is; one that nobody has set has no limit."""
    found = [group for group in list_groups(database) if group.name == name]
    return found[0] if found else Group(name, None, False, 0, 0)
