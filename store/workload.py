"""What a forecast of the queue goes by: what has run and for how long, what runs, and what waits in its order."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Text, cast, func, select

from store.database import Database
from store.schema import ACTIVE, WAITING, Status, experiments, groups, jobs

MOST_PAST = 2000
"""How many of the newest successes are looked at."""


@dataclass(frozen=True)
class Task:
    """A job as far as its duration may be guessed: `model` and `size` as its recipe has them, in words."""

    id: int
    experiment_id: int
    experiment: str
    engine: str
    model: str
    size: str
    gpus: int | None
    group: str | None
    status: Status
    held: bool
    not_before: float | None
    started_at: float | None
    ended_at: float | None
    progress: float | None
    """The share that is done, of one that runs."""
    progress_at: float | None
    attempt: int


@dataclass(frozen=True)
class Workload:
    past: list[Task]
    running: list[Task]
    waiting: list[Task]
    """In the order of their turns."""
    slots: dict[str, int]
    """Of the groups that have a limit; 0 for one that is paused."""


def read_workload(database: Database) -> Workload:
    past = _TASKS.where(jobs.c.status == Status.SUCCEEDED, jobs.c.started_at.is_not(None))
    past = past.order_by(jobs.c.ended_at.desc()).limit(MOST_PAST)
    turn = _TASKS.where(jobs.c.status.in_(WAITING)).order_by(jobs.c.priority.desc(), jobs.c.id)
    limits = select(groups.c.name, groups.c.slots, groups.c.paused)
    with database.read() as connection:
        found = [
            [_task(tuple(row)) for row in connection.execute(query)]
            for query in (past, _TASKS.where(jobs.c.status.in_(ACTIVE)), turn)
        ]
        slots = {
            name: 0 if paused else count
            for name, count, paused in connection.execute(limits)
            if paused or count is not None
        }
    return Workload(found[0], found[1], found[2], slots)


def _task(values: tuple[Any, ...]) -> Task:
    known: Any = (*values[:8], Status(values[8]), *values[9:])
    return Task(*known)


def _in_recipe(path: str) -> Any:
    return func.json_extract(jobs.c.recipe, f"$.{path}")


# A model that another job makes has no name: its block is as good as one.
_MODEL = func.coalesce(_in_recipe("model.base"), cast(_in_recipe("model"), Text), "")
_SIZES = (
    "task.name", "stage", "train_samples", "max_steps", "num_train_epochs", "limit", "num_generations", "max_completion_length"
)  # fmt: skip
"""What the engines call the amount of work."""
_SIZE = func.json_array(*map(_in_recipe, _SIZES))
_TASKS = select(
    jobs.c.id, experiments.c.id, experiments.c.name, jobs.c.engine, _MODEL, _SIZE, jobs.c.gpus, jobs.c.group, jobs.c.status,
    jobs.c.held, jobs.c.not_before, jobs.c.started_at, jobs.c.ended_at,
    jobs.c.progress_done / func.nullif(jobs.c.progress_total, 0), jobs.c.progress_at, jobs.c.attempt,
).select_from(jobs.join(experiments))  # fmt: skip
