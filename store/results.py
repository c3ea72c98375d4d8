"""What jobs left behind: scores, examples, artifacts, messages, attempts and the audit log, for reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, bindparam, cast, func, select

from store.database import Database
from store.schema import artifacts, attempts, examples, experiments, messages, scores, transitions


@dataclass(frozen=True)
class Score:
    """A final figure of a job. `fields` has `n`, `low` and `high` where there is an interval."""

    job_id: int
    name: str
    value: float | None
    fields: dict[str, Any]


@dataclass(frozen=True)
class ScoredExample:
    """One completion with its grades; `fields` is the whole report of the eval engine."""

    key: str
    example_id: str
    sample: int
    strict: bool
    robust: bool
    fields: dict[str, Any]


@dataclass(frozen=True)
class Artifact:
    """A file or directory that a job left, relative to its run directory."""

    path: str
    name: str
    step: int | None
    time: float


@dataclass(frozen=True)
class Message:
    """What a worker told people."""

    time: float
    kind: str
    level: str
    text: str


@dataclass(frozen=True)
class Transition:
    """A line of the audit log."""

    time: float
    from_status: str | None
    to_status: str
    attempt: int
    reason: str | None


@dataclass(frozen=True)
class Attempt:
    """One try at a job."""

    number: int
    claimed_at: float
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    outcome: str | None
    process: dict[str, Any] | None
    usage: dict[str, Any] | None
    devices: list[str]
    changes: dict[str, Any] | None
    """What its recipe has other than the job's, where an earlier attempt had run out of memory."""
    slurm: dict[str, Any] | None
    """{profile, name, id, ...} of its job in Slurm; None where it ran on this machine."""


@dataclass(frozen=True)
class Experiment:
    """One submission of a recipe."""

    id: int
    name: str
    created_at: float
    recipe_path: str
    recipe_text: str
    provenance: dict[str, Any]
    key: str | None
    hold_after: dict[str, Any] | None
    failures_since: float | None


def list_scores(database: Database, job_ids: Sequence[int]) -> list[Score]:
    query = select(scores).where(scores.c.job_id.in_(job_ids)).order_by(scores.c.job_id, scores.c.name)
    with database.read() as connection:
        return [Score(**row._mapping) for row in connection.execute(query)]


def list_examples(database: Database, job_id: int) -> list[ScoredExample]:
    query = select(
        examples.c.key,
        examples.c.example_id,
        examples.c.sample,
        examples.c.strict,
        examples.c.robust,
        examples.c.fields,
    ).where(examples.c.job_id == job_id)
    with database.read() as connection:
        return [ScoredExample(*row) for row in connection.execute(query.order_by(examples.c.key))]


def outcomes(database: Database, job_id: int, grader: str = "strict") -> dict[tuple[str, int], bool]:
    """Right or wrong for each (example id, sample), without the texts."""
    column = {"strict": examples.c.strict, "robust": examples.c.robust}[grader]
    query = select(examples.c.example_id, examples.c.sample, column).where(examples.c.job_id == job_id)
    with database.read() as connection:
        return {(example_id, sample): right for example_id, sample, right in connection.execute(query)}


@dataclass(frozen=True)
class Shares:
    """How often each question of an evaluation was answered right. All lists are in the order of `questions`."""

    questions: list[str]
    samples: int
    """The most completions of one question."""
    strict: list[float]
    robust: list[float]


def shares(database: Database, job_id: int) -> Shares:
    """The outcomes of an evaluation by question, sorted by its id."""
    columns = examples.c
    query = (
        select(
            columns.example_id,
            func.count(),
            func.avg(cast(columns.strict, Integer)),
            func.avg(cast(columns.robust, Integer)),
        )
        .where(columns.job_id == job_id)
        .group_by(columns.example_id)
        .order_by(columns.example_id)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    questions, counts, strict, robust = ([row[i] for row in rows] for i in range(4))
    return Shares(questions, max(counts, default=0), strict, robust)


def list_artifacts(database: Database, job_id: int) -> list[Artifact]:
    query = select(artifacts.c.path, artifacts.c.name, artifacts.c.step, artifacts.c.time)
    with database.read() as connection:
        rows = connection.execute(query.where(artifacts.c.job_id == job_id).order_by(artifacts.c.time))
        return [Artifact(*row) for row in rows]


def list_messages(database: Database, job_id: int) -> list[Message]:
    query = select(messages.c.time, messages.c.kind, messages.c.level, messages.c.text)
    with database.read() as connection:
        rows = connection.execute(query.where(messages.c.job_id == job_id).order_by(messages.c.id))
        return [Message(*row) for row in rows]


def newest_warning(database: Database, job_id: int, since: float = 0.0) -> str | None:
    """The newest of a worker's warnings that is no older than `since` (Unix seconds)."""
    columns = messages.c
    query = (
        select(columns.text)
        .where(columns.job_id == job_id, columns.level == "warning", columns.time >= since)
        .order_by(columns.id.desc())
        .limit(1)
    )
    with database.read() as connection:
        return connection.execute(query).scalar_one_or_none()


def list_transitions(database: Database, job_id: int) -> list[Transition]:
    columns = transitions.c
    query = select(columns.time, columns.from_status, columns.to_status, columns.attempt, columns.reason)
    with database.read() as connection:
        rows = connection.execute(query.where(columns.job_id == job_id).order_by(columns.id))
        return [Transition(*row) for row in rows]


def list_attempts(database: Database, job_id: int) -> list[Attempt]:
    query = select(*[column for column in attempts.c if column.name != "job_id"])
    with database.read() as connection:
        rows = connection.execute(query.where(attempts.c.job_id == job_id).order_by(attempts.c.number))
        return [Attempt(**row._mapping) for row in rows]


_PROCESS = select(attempts.c.process).where(
    attempts.c.job_id == bindparam("job"), attempts.c.number == bindparam("attempt")
)
_PROVENANCE = select(experiments.c.name, experiments.c.provenance).where(
    experiments.c.id == bindparam("experiment")
)


def process_of(database: Database, job_id: int, attempt: int) -> dict[str, Any] | None:
    """Who supervisor and worker of an attempt are, once the daemon has seen it run."""
    with database.read() as connection:
        return connection.execute(_PROCESS, {"job": job_id, "attempt": attempt}).scalar()


def provenance_of(database: Database, experiment_id: int) -> tuple[str, dict[str, Any]]:
    """An experiment's name, and what was noted of its surroundings."""
    with database.read() as connection:
        name, provenance = connection.execute(_PROVENANCE, {"experiment": experiment_id}).one()
    return name, provenance


def get_experiment(database: Database, experiment_id: int) -> Experiment:
    with database.read() as connection:
        row = connection.execute(select(experiments).where(experiments.c.id == experiment_id)).one()
    return Experiment(**row._mapping)


def last_failure(database: Database, job_id: int, since: float) -> str | None:
    """The first line of what a worker said when it failed, if it did after `since`."""
    query = (
        select(messages.c.text)
        .where(messages.c.job_id == job_id, messages.c.kind == "failed", messages.c.time >= since)
        .order_by(messages.c.id.desc())
    )
    with database.read() as connection:
        text = connection.execute(query).scalar()
    return str(text).partition("\n")[0] if text else None


def get_example(database: Database, job_id: int, example_id: str, sample: int) -> ScoredExample | None:
    """One completion with all that was reported about it."""
    columns = examples.c
    query = select(
        columns.key, columns.example_id, columns.sample, columns.strict, columns.robust, columns.fields
    ).where(columns.job_id == job_id, columns.example_id == example_id, columns.sample == sample)
    with database.read() as connection:
        row = connection.execute(query).first()
    return ScoredExample(*row) if row else None
