"""The queue by experiments: a line for each with what has become of its jobs, and below it the jobs where it is open.

Lines are numbered as if all of them were there; a window of them is read. Only experiments inside of the window have
their best score looked up, and only jobs inside of it become rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, desc, func, select

from store.database import Database
from store.filter_tree import EVERYTHING, Node
from store.job_filter import accuracy_of
from store.queue import ACTIVITY, JobRow, Sort, matching_ids, order_by, rows_of
from store.schema import ACTIVE, WAITING, Status, experiments, jobs


@dataclass(frozen=True)
class ExperimentRow:
    """An experiment as a line of a table; the counts are of its jobs that match the filter."""

    id: int
    name: str
    jobs: int
    done: int
    failed: int
    cancelled: int
    active: int
    waiting: int
    held: int
    started_at: float | None
    ended_at: float | None
    is_open: bool
    best: float | None
    best_job: int | None
    best_name: str | None

    @property
    def key(self) -> int:
        """Below zero, so that it is none of a job."""
        return -self.id


TreeRow = JobRow | ExperimentRow


@dataclass(frozen=True)
class Folds:
    """Which experiments show their jobs: all or none, but for some."""

    open: bool = False
    but: frozenset[int] = frozenset()

    def is_open(self, experiment_id: int) -> bool:
        return self.open != (experiment_id in self.but)

    def turned(self, experiment_id: int) -> "Folds":
        return Folds(self.open, self.but ^ {experiment_id})


FOLDED = Folds()


class _Counts(NamedTuple):
    id: int
    jobs: int
    done: int
    failed: int
    cancelled: int
    active: int
    waiting: int
    held: int
    started_at: float | None
    ended_at: float | None


def read_tree(
    database: Database, *, where: Node = EVERYTHING, sort: Sort = ACTIVITY, folds: Folds = FOLDED,
    offset: int = 0, limit: int = 300,
) -> tuple[int, int, list[TreeRow]]:  # fmt: skip
    """How many lines there are, how many jobs match, and the lines from `offset` on."""
    now = database.now()
    with database.read() as connection:
        counted = _count(connection, where, sort, now)
        heights = [1 + one.jobs * folds.is_open(one.id) for one in counted]
        starts = [0, *accumulate(heights)]
        shown = [
            (one, start)
            for one, start, height in zip(counted, starts, heights, strict=False)
            if start < offset + limit and start + height > offset
        ]
        heads = _heads(connection, [one for one, _ in shown], where, folds, now)
        wanted: list[int] = []
        places: list[tuple[int, bool]] = []
        for one, start in shown:
            if start >= offset:
                places.append((one.id, True))
            if folds.is_open(one.id):
                first = max(offset - start - 1, 0)
                room = offset + limit - max(start + 1, offset)
                ids = _job_ids(connection, one.id, where, sort, now, first, min(room, one.jobs - first))
                wanted += ids
                places += [(job_id, False) for job_id in ids]
        found = {row.id: row for row in rows_of(connection, wanted)}
    rows: list[TreeRow] = [heads[key] if is_head else found[key] for key, is_head in places]
    return starts[-1], sum(one.jobs for one in counted), rows


def _count(connection: Connection, where: Node, sort: Sort, now: float) -> list[_Counts]:
    """Every experiment with jobs that match: those with jobs that run first, then those that wait, then the newest."""

    def how_many(*statuses: Status) -> Any:
        return func.sum(case((jobs.c.status.in_(statuses), 1), else_=0))

    active, waiting = how_many(*ACTIVE), how_many(*WAITING)
    query = (
        matching_ids(where, now)
        .with_only_columns(
            jobs.c.experiment_id, func.count(), how_many(Status.SUCCEEDED), how_many(Status.FAILED, Status.LOST),
            how_many(Status.CANCELLED), active, waiting,
            func.sum(case((jobs.c.status.in_(WAITING) & jobs.c.held, 1), else_=0)),
            func.min(jobs.c.started_at), func.max(jobs.c.ended_at),
        )
        .group_by(jobs.c.experiment_id)
    )  # fmt: skip
    if sort.column == "activity":
        terms: list[Any] = [active == 0, waiting == 0, desc(jobs.c.experiment_id)]
        query = query.order_by(*(desc(term) if sort.reverse else term for term in terms[:2]), terms[2])
    elif sort.column == "name":
        known = select(experiments.c.name).where(experiments.c.id == jobs.c.experiment_id)
        name = func.lower(known.scalar_subquery())
        query = query.order_by(name.desc() if sort.reverse else name, jobs.c.experiment_id)
    elif sort.column == "accuracy":
        best = func.max(accuracy_of(jobs.c.id))
        query = query.order_by(best.is_(None), best if sort.reverse else best.desc(), jobs.c.experiment_id)
    else:
        query = query.order_by(jobs.c.experiment_id if sort.reverse else jobs.c.experiment_id.desc())
    # Plain tuples: there may be ten thousand of them.
    return [_Counts(*row) for row in connection.execute(query)]


def _heads(
    connection: Connection, shown: Sequence[_Counts], where: Node, folds: Folds, now: float
) -> dict[int, ExperimentRow]:
    ids = [one.id for one in shown]
    named = select(experiments.c.id, experiments.c.name).where(experiments.c.id.in_(ids))
    names: dict[int, str] = {row[0]: row[1] for row in connection.execute(named)}
    accuracy = accuracy_of(jobs.c.id)
    # With max(), SQLite takes the other columns from the row that has it.
    best = (
        matching_ids(where, now)
        .with_only_columns(jobs.c.experiment_id, func.max(accuracy), jobs.c.id, jobs.c.name)
        .where(jobs.c.experiment_id.in_(ids))
        .group_by(jobs.c.experiment_id)
    )
    bests = {row[0]: tuple(row[1:]) for row in connection.execute(best)}
    heads = {}
    for one in shown:
        value, job_id, name = bests.get(one.id, (None, None, None))
        if value is None:
            job_id = name = None
        is_open = folds.is_open(one.id)
        heads[one.id] = ExperimentRow(
            one.id, names[one.id], *one[1:], is_open=is_open, best=value, best_job=job_id, best_name=name
        )
    return heads


def _job_ids(
    connection: Connection, experiment_id: int, where: Node, sort: Sort, now: float, offset: int, limit: int
) -> list[int]:
    query = matching_ids(where, now).where(jobs.c.experiment_id == experiment_id)
    return list(
        connection.execute(query.order_by(*order_by(sort, now)).offset(offset).limit(max(limit, 0))).scalars()
    )
