"""The tables, and the words a job's status can be.

Times are Unix seconds. JSON columns hold what only people and engines look into; what is queried has a column.
Change a table here and add a migration in `migrations/versions`; a test compares the two.
"""

from enum import StrEnum

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)


class Status(StrEnum):
    """Where a job is in its life. The last four are final."""

    BLOCKED = "blocked"  # waits for the jobs it needs
    QUEUED = "queued"  # ready, waits for its turn
    STARTING = "starting"  # claimed: slot and GPUs are reserved, no process seen yet
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # the process vanished without an exit record


ACTIVE = (Status.STARTING, Status.RUNNING)
WAITING = (Status.BLOCKED, Status.QUEUED)
FINAL = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.LOST)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _job_id(primary_key: bool = False) -> Column[int]:
    return Column(
        "job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, primary_key=primary_key
    )


experiments = Table(
    "experiments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("recipe_path", Text, nullable=False),
    Column("recipe_text", Text, nullable=False),  # as the user wrote it
    Column("provenance", JSON, nullable=False),  # git commit and patch, versions, working directory
    Column("key", Text),  # the submitter's own; the same key submits once
    Column("hold_after", JSON),  # {failures, seconds}: when fast failures hold back the rest of its jobs
    Column("failures_since", Float),  # failures before this do not count: the rest was held because of them
    Index(None, "key", unique=True),
    sqlite_autoincrement=True,
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("experiment_id", ForeignKey("experiments.id"), nullable=False),
    Column("name", Text, nullable=False),  # unique in its experiment, so a submit cannot double a cell
    Column("engine", Text, nullable=False),
    Column("recipe", JSON, nullable=False),  # resolved, all defaults written out; never changed
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("held", Boolean, nullable=False, default=False),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("gpus", Integer),  # NULL: one if the machine has any
    Column("gpu_memory", Integer),  # bytes of each of them; NULL: the whole card
    Column("group", Text),  # its jobs share slots
    Column("slurm", Text),  # profile of the Slurm that it runs through; NULL: this machine
    Column("not_before", Float),  # a time to start at, or the end of the pause before a retry
    Column("fallbacks", Integer, nullable=False, default=0),  # how many of `retry.on_oom` apply by now
    Column("retries_left", Integer, nullable=False, default=0),
    Column("attempt", Integer, nullable=False, default=0),  # number of the current or last attempt
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("exit_code", Integer),
    Column("reason", Text),  # why the status is what it is, in words
    Column("progress_done", Float),
    Column("progress_total", Float),
    Column("progress_unit", Text),
    Column("progress_at", Float),
    Column("events_offset", Integer, nullable=False, default=0),
    Column("unreadable_lines", Integer, nullable=False, default=0),
    UniqueConstraint("experiment_id", "name"),
    sqlite_autoincrement=True,
)
Index("ix_jobs_turn", jobs.c.status, jobs.c.priority.desc(), jobs.c.id)
Index("ix_jobs_not_before", jobs.c.not_before, sqlite_where=jobs.c.not_before.is_not(None))

dependencies = Table(
    "dependencies",
    metadata,
    _job_id(primary_key=True),
    Column("needs_job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("alias", Text),  # the name by which the recipe takes an output of it; NULL when it only waits
    Index(None, "needs_job_id"),
)

attempts = Table(
    "attempts",
    metadata,
    _job_id(primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("claimed_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("exit_code", Integer),  # negative: the signal, as Python's subprocess has it
    Column("outcome", Text),
    Column("process", JSON),  # what the supervisor wrote about itself and its worker
    Column("usage", JSON),  # CPU seconds, peak memory
    Column("devices", JSON, nullable=False),  # UUIDs of the GPUs it was given
    Column("changes", JSON),  # what differs from the job's recipe, where it had run out of memory
    Column("slurm", JSON),  # {profile, name, id, ...} of its job there; NULL: it ran on this machine
)

# A trigger, `gpu_is_reserved`, forbids a second owner beside one that has a whole card.
gpu_reservations = Table(
    "gpu_reservations",
    metadata,
    Column("uuid", Text, primary_key=True),
    _job_id(primary_key=True),
    Column("memory_bytes", Integer),  # NULL: the whole card
)

# Jobs name their group; a row here limits or pauses one.
groups = Table(
    "groups",
    metadata,
    Column("name", Text, primary_key=True),
    Column("slots", Integer),  # NULL: no limit
    Column("paused", Boolean, nullable=False, default=False),
)

# Recipes with `cron:`. Each time due, the jobs as they were resolved at submission are queued as a new experiment.
schedules = Table(
    "schedules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("cron", Text, nullable=False),
    Column("submission", JSON, nullable=False),  # what `lifecycle.enqueue` takes
    Column("created_at", Float, nullable=False),
    Column("next_at", Float),  # NULL: never again
    Column("last_at", Float),
    Column("last_experiment_id", Integer),
    Column("paused", Boolean, nullable=False, default=False),
    sqlite_autoincrement=True,
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", Integer, primary_key=True),
    _job_id(),
    Column("time", Float, nullable=False),
    Column("from_status", Text),
    Column("to_status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("reason", Text),
    Index(None, "job_id"),
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    _job_id(),
    Column("name", Text, nullable=False),
    Column("length", Integer, nullable=False, default=0),
    Column("last_step", Integer),
    Column("last_value", Float),
    UniqueConstraint("job_id", "name"),
)

# `value` is NULL for NaN. `ordinal` counts the points of a series from 0 without gaps.
points = Table(
    "points",
    metadata,
    Column("series_id", Integer, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("step", Integer, nullable=False),
    Column("value", Float),
    Column("time", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    sqlite_with_rowid=False,
)

# Points of an earlier attempt beyond the checkpoint that a later one resumed from.
retracted_points = Table(
    "retracted_points",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_id", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("value", Float),
    Column("time", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
    Index(None, "series_id"),
)

# Level n summarises buckets of FAN_OUT ** n points; only complete buckets are stored, so rows never change.
rollups = Table(
    "rollups",
    metadata,
    Column("series_id", Integer, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("bucket", Integer, primary_key=True),
    Column("first_step", Integer, nullable=False),
    Column("last_step", Integer, nullable=False),
    Column("low", Float),
    Column("high", Float),
    Column("missing", Integer, nullable=False),  # how many values were NaN
    sqlite_with_rowid=False,
)

examples = Table(
    "examples",
    metadata,
    _job_id(primary_key=True),
    Column("key", Text, primary_key=True),
    Column("example_id", Text, nullable=False),
    Column("sample", Integer, nullable=False),
    Column("strict", Boolean, nullable=False),
    Column("robust", Boolean, nullable=False),
    Column("fields", JSON, nullable=False),
)

scores = Table(
    "scores",
    metadata,
    _job_id(primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Float),
    Column("fields", JSON, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    _job_id(primary_key=True),
    Column("path", Text, primary_key=True),  # relative to the run directory
    Column("name", Text, nullable=False),  # `checkpoint` for states to resume from
    Column("step", Integer),
    Column("time", Float, nullable=False),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    _job_id(),
    Column("time", Float, nullable=False),
    Column("kind", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("text", Text, nullable=False),
    Index(None, "job_id"),
)

# One row: the daemon that runs, or ran last.
daemon = Table(
    "daemon",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("stopped_at", Float),
    Column("cpu_slots", Integer, nullable=False),
    Column("gpus", JSON, nullable=False),
    Column("wish", Text),  # `stop`, or `stop-jobs`: what people want of it
    Column("slurm", JSON),  # its profiles and their slots, and what is wrong with Slurm
)
