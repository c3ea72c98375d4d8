"""The queue as a table on a screen: a window of rows, filtered and ordered here, without the recipes.

Ten thousand jobs cost what the visible ones cost: the page is cut out first, scores are looked up for its rows only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, case, cast, func, literal, not_, or_, select
from sqlalchemy.types import Text

from store.database import Database
from store.schema import ACTIVE, WAITING, Status, experiments, jobs, scores, series

Order = Literal["activity", "newest", "oldest"]


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
    progress_done: float | None
    progress_total: float | None
    progress_unit: str | None
    progress_at: float | None
    loss: float | None
    accuracy: float | None


def read_rows(
    database: Database,
    *,
    words: Sequence[str] = (),
    order: Order = "activity",
    offset: int = 0,
    limit: int | None = None,
    ids: Sequence[int] = (),
) -> tuple[int, list[JobRow]]:
    """How many jobs match, and the rows from `offset` on. Every word must be found, one that starts with `!` must not."""
    matching = select(jobs, experiments.c.name.label("experiment")).join(experiments)
    for word in words:
        matching = matching.where(_contains(word))
    if ids:
        matching = matching.where(jobs.c.id.in_(ids))
    page = matching.order_by(*_ORDERS[order]).offset(offset).limit(-1 if limit is None else limit)
    with database.read() as connection:
        count = connection.execute(select(func.count()).select_from(matching.subquery())).scalar_one()
        rows = connection.execute(_with_figures(page)).all()
    return count, [JobRow(**dict(row._mapping) | {"status": Status(row.status)}) for row in rows]


def _contains(word: str) -> ColumnElement[bool]:
    wanted = word.removeprefix("!")
    texts = (experiments.c.name, jobs.c.name, jobs.c.engine, jobs.c.status)
    found = or_(
        *(text.icontains(wanted, autoescape=True) for text in texts),
        cast(jobs.c.id, Text) == wanted.removeprefix("#"),
        and_(jobs.c.held, literal(wanted.lower() == "held")),
    )
    return not_(found) if word.startswith("!") else found


_ORDERS: dict[str, tuple[Any, ...]] = {
    # What runs, then what waits in the order it will run, then what ended, newest first.
    "activity": (
        case((jobs.c.status.in_(ACTIVE), 0), (jobs.c.status.in_(WAITING), 1), else_=2),
        case((jobs.c.status.in_(WAITING), -jobs.c.priority), else_=-func.coalesce(jobs.c.ended_at, 0)),
        jobs.c.id,
    ),
    "newest": (jobs.c.experiment_id.desc(), jobs.c.id),
    "oldest": (jobs.c.id,),
}


def _with_figures(page: Select[Any]) -> Select[Any]:
    row = page.subquery()

    def newest(name: str) -> Any:
        query = select(series.c.last_value).where(series.c.job_id == row.c.id, series.c.name == name)
        return query.scalar_subquery()

    strict = select(scores.c.value).where(scores.c.job_id == row.c.id, scores.c.name == "strict")
    accuracy = func.coalesce(strict.scalar_subquery(), newest("dev_accuracy_strict"))
    stored = [row.c[field.name] for field in fields(JobRow) if field.name not in ("loss", "accuracy")]
    return select(*stored, newest("loss").label("loss"), accuracy.label("accuracy"))
