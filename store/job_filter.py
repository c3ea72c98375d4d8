"""A filter's tree as SQL: ten thousand jobs are sifted where they lie."""

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, false, func, literal, not_, or_, select, true

from store import filter_tree as tree
from store.filter_tree import Node
from store.patterns import compiled
from store.schema import ACTIVE, WAITING, experiments, jobs, scores, series

STARTED = case((jobs.c.status.in_(WAITING), None), else_=jobs.c.started_at)


def loss_of(job_id: Any) -> Any:
    """The newest training loss."""
    return _newest("loss", job_id)


def accuracy_of(job_id: Any) -> Any:
    """The strict score, or while there is none the newest one on the dev questions."""
    strict = select(scores.c.value).where(scores.c.job_id == job_id, scores.c.name == "strict")
    return func.coalesce(strict.scalar_subquery(), _newest("dev_accuracy_strict", job_id))


def took(now: float) -> Any:
    """Seconds that a job's last attempt took, or has run."""
    return case(
        (jobs.c.status.in_(ACTIVE), now - jobs.c.started_at), else_=jobs.c.ended_at - jobs.c.started_at
    )


def condition(node: Node, now: float) -> ColumnElement[bool]:
    """What a job must be to be found. `now` in Unix seconds: ages count from it."""
    if isinstance(node, tree.Word):
        return _word(node.text)
    if isinstance(node, tree.Text):
        return _text(node)
    if isinstance(node, tree.Pattern):
        columns = (_column(node.field),) if node.field else (jobs.c.name, experiments.c.name)
        return or_(*(func.regexp(node.pattern, func.coalesce(column, "")) for column in columns))
    if isinstance(node, tree.States):
        held = and_(jobs.c.held, jobs.c.status.in_(WAITING)) if node.held else false()
        return or_(jobs.c.status.in_(node.statuses), held)
    if isinstance(node, tree.Between):
        return _between(node, now)
    if isinstance(node, tree.Not):
        return not_(condition(node.of, now))
    parts = [condition(part, now) for part in node.nodes]
    return and_(true(), *parts) if isinstance(node, tree.Both) else or_(*parts)


@lru_cache(maxsize=1 << 15)
def regexp(pattern: str, text: str | None) -> bool:
    """SQLite's REGEXP; registered on each connection. A queue is looked at again and again, and its names stay."""
    return text is not None and compiled(pattern).search(text) is not None


def _newest(name: str, job_id: Any) -> Any:
    query = select(series.c.last_value).where(series.c.job_id == job_id, series.c.name == name)
    return query.scalar_subquery()


def _word(word: str) -> ColumnElement[bool]:
    texts = (experiments.c.name, jobs.c.name, jobs.c.engine, jobs.c.status)
    return or_(
        *(text.icontains(word, autoescape=True) for text in texts),
        cast(jobs.c.id, Text) == word.removeprefix("#"),
        and_(jobs.c.held, jobs.c.status.in_(WAITING), literal(word.lower() == "held")),
    )


def _text(node: tree.Text) -> ColumnElement[bool]:
    column = func.coalesce(_column(node.field), "")
    found = column == node.text if node.exact else column.icontains(node.text, autoescape=True)
    if node.field == "experiment":
        return or_(found, cast(experiments.c.id, Text) == node.text.removeprefix("#"))
    return found


def _column(field: str) -> ColumnElement[Any]:
    column: ColumnElement[Any] = experiments.c.name if field == "experiment" else jobs.c[field]
    return column


def _between(node: tree.Between, now: float) -> ColumnElement[bool]:
    value = _NUMBERS[node.field](now)
    parts = [value.is_not(None)]
    if node.low is not None:
        parts.append(value > node.low if node.without_ends else value >= node.low)
    if node.high is not None:
        parts.append(value < node.high if node.without_ends else value <= node.high)
    # Nothing is not false to SQL: without this, NOT would lose the jobs that lack the number.
    return func.coalesce(and_(*parts), False)


_NUMBERS: dict[str, Any] = {
    "id": lambda now: jobs.c.id,
    "accuracy": lambda now: accuracy_of(jobs.c.id),
    "loss": lambda now: loss_of(jobs.c.id),
    "priority": lambda now: jobs.c.priority,
    "gpus": lambda now: func.coalesce(jobs.c.gpus, 1),
    "attempt": lambda now: jobs.c.attempt,
    "done": lambda now: jobs.c.progress_done / func.nullif(jobs.c.progress_total, 0),
    "age": lambda now: now - jobs.c.created_at,
    "took": took,
}
