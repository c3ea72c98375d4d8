"""The queue as a table on a screen: a window of rows, filtered and ordered here, without the recipes.

Ten thousand jobs cost what the visible ones cost: the page is cut out first, scores are looked up for its rows only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from store.database import Database
from store.filter_tree import EVERYTHING, Node
from store.job_filter import STARTED, accuracy_of, condition, loss_of, took
from store.schema import ACTIVE, FINAL, WAITING, Status, experiments, jobs


@dataclass(frozen=True)
class JobRow:
    """A job as a line of a table. `loss` is the newest training loss, `accuracy` the strict score (or the dev one)."""

    id: int
    experiment_id: int
    experiment: str
    name: str
    engine: str
    status: Status
    priority: int
    held: bool
    cancel_requested: bool
    attempt: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    reason: str | None
    group: str | None
    progress_done: float | None
    progress_total: float | None
    progress_unit: str | None
    progress_at: float | None
    loss: float | None
    accuracy: float | None

    @property
    def key(self) -> int:
        """Tells the rows of a table apart, those of experiments too."""
        return self.id


@dataclass(frozen=True)
class Sort:
    """By which column, and whether from its far end. What has no value comes last either way."""

    column: str = "activity"
    reverse: bool = False


ACTIVITY = Sort()
SORTS = ("activity", "id", "name", "status", "started", "took", "loss", "accuracy", "priority")
"""Activity: what runs, then what waits in the order it will run, then what ended, newest first."""


def read_rows(
    database: Database,
    *,
    where: Node = EVERYTHING,
    sort: Sort = ACTIVITY,
    offset: int = 0,
    limit: int | None = None,
    ids: Sequence[int] = (),
) -> tuple[int, list[JobRow]]:
    """How many jobs match, and the rows from `offset` on."""
    now = database.now()
    if where == EVERYTHING and sort == ACTIVITY and not ids:
        return _by_activity(database, offset, -1 if limit is None else limit)
    matching = matching_ids(where, now)
    if ids:
        matching = matching.where(jobs.c.id.in_(ids))
    page = matching.order_by(*order_by(sort, now)).offset(offset).limit(-1 if limit is None else limit)
    with database.read() as connection:
        count = connection.execute(select(func.count()).select_from(matching.subquery())).scalar_one()
        return count, rows_of(connection, list(connection.execute(page).scalars()))


def _by_activity(database: Database, offset: int, limit: int) -> tuple[int, list[JobRow]]:
    """The usual view, part by part: an index knows how many each has, and parts outside of the window are not touched."""
    found: list[int] = []
    with database.read() as connection:
        counts = {row[0]: int(row[1]) for row in connection.execute(_COUNTS)}
        start = 0
        for statuses in (ACTIVE, WAITING, FINAL):
            count = sum(counts.get(status, 0) for status in statuses)
            skip = max(offset - start, 0)
            left = count if limit < 0 else limit - len(found)
            if skip < count and left > 0:
                part = select(jobs.c.id).where(jobs.c.status.in_(statuses)).order_by(*_ACTIVITY[1:])
                found += connection.execute(part.offset(skip).limit(left)).scalars()
            start += count
        return start, rows_of(connection, found)


_COUNTS = select(jobs.c.status, func.count()).group_by(jobs.c.status)


def read_ids(database: Database, where: Node, *, experiment_id: int | None = None) -> list[int]:
    """Every job that matches, or those of one experiment, by id."""
    query = matching_ids(where, database.now()).order_by(jobs.c.id)
    if experiment_id is not None:
        query = query.where(jobs.c.experiment_id == experiment_id)
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def count_active(database: Database, ids: Sequence[int]) -> int:
    """How many of these jobs run."""
    with database.read() as connection:
        running = set(connection.execute(select(jobs.c.id).where(jobs.c.status.in_(ACTIVE))).scalars())
    return len(running.intersection(ids))


def matching_ids(where: Node, now: float) -> Select[Any]:
    """Ids of jobs, to be ordered and cut. The experiments' names are joined where a condition may ask for them."""
    if where == EVERYTHING:
        return select(jobs.c.id)
    return select(jobs.c.id).select_from(jobs.join(experiments)).where(condition(where, now))


def rows_of(connection: Connection, ids: Sequence[int]) -> list[JobRow]:
    """The rows of these jobs, in this order."""
    found: dict[int, JobRow] = {}
    for row in connection.execute(_ROWS.where(jobs.c.id.in_(ids))):
        values = row._mapping
        found[values["id"]] = JobRow(**dict(values) | {"status": Status(values["status"])})
    return [found[job_id] for job_id in ids if job_id in found]


def order_by(sort: Sort, now: float) -> tuple[Any, ...]:
    """The terms of an ORDER BY; the last makes the order a total one."""
    if sort.column == "activity":
        return _reversed(_ACTIVITY) if sort.reverse else _ACTIVITY
    value = _VALUES[sort.column](now)
    first = sort.column in _LARGEST_FIRST
    return (value.is_(None), value.desc() if first != sort.reverse else value.asc(), jobs.c.id)


_ACTIVITY: tuple[Any, ...] = (
    case((jobs.c.status.in_(ACTIVE), 0), (jobs.c.status.in_(WAITING), 1), else_=2),
    case((jobs.c.status.in_(WAITING), -jobs.c.priority), else_=-func.coalesce(jobs.c.ended_at, 0)),
    jobs.c.id,
)

_LARGEST_FIRST = ("id", "started", "took", "accuracy", "priority")

_VALUES: dict[str, Any] = {
    "id": lambda now: jobs.c.id,
    "name": lambda now: func.lower(jobs.c.name),
    "status": lambda now: case(
        {status.value: place for place, status in enumerate(Status)}, value=jobs.c.status
    ),
    "started": lambda now: STARTED,
    "took": took,
    "loss": lambda now: loss_of(jobs.c.id),
    "accuracy": lambda now: accuracy_of(jobs.c.id),
    "priority": lambda now: jobs.c.priority,
}


def _reversed(terms: tuple[ColumnElement[Any], ...]) -> tuple[Any, ...]:
    return tuple(term.desc() for term in terms)


_STORED = [
    experiments.c.name.label("experiment") if field.name == "experiment" else jobs.c[field.name]
    for field in fields(JobRow)
    if field.name not in ("loss", "accuracy")
]
# Made once: SQLAlchemy takes longer to build a statement than SQLite to run it.
_ROWS = select(
    *_STORED, loss_of(jobs.c.id).label("loss"), accuracy_of(jobs.c.id).label("accuracy")
).select_from(jobs.join(experiments))
