"""Messages to the outside that wait for delivery: small files in the home directory, so that no kill loses one.

    outbox/cursor.json       {"id", "time"}: the last line of the audit log of which messages were made
    outbox/<name>.json       a message that waits; the file's time is when it is due, so that looking costs a stat
    outbox/<name>.failed     one that was given up

A message is written before the cursor moves on, and under a name that follows from what it reports: made again after a
kill, it is the same file.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from store.database import Database
from store.schema import FINAL, experiments, jobs, transitions

CURSOR = "cursor.json"


@dataclass(frozen=True)
class Ending:
    """A job that has come to its end: a line of the audit log, and what the job is."""

    id: int
    time: float
    status: str
    attempt: int
    reason: str | None
    job_id: int
    name: str
    engine: str
    experiment_id: int
    experiment: str
    started_at: float | None
    exit_code: int | None


def directory(home: Path) -> Path:
    return home / "outbox"


def endings_after(database: Database, line: int) -> tuple[int, float, list[Ending]]:
    """The ends of jobs behind a line of the audit log; number and time of the newest line, whatever it says."""
    columns = transitions.c
    query = (
        select(
            columns.id, columns.time, columns.to_status, columns.attempt, columns.reason, columns.job_id,
            jobs.c.name, jobs.c.engine, experiments.c.id, experiments.c.name, jobs.c.started_at, jobs.c.exit_code,
        )
        .join(jobs, jobs.c.id == columns.job_id)
        .join(experiments, experiments.c.id == jobs.c.experiment_id)
        # A line from a status to the same is a remark about a job that had ended before.
        .where(columns.id > line, columns.to_status.in_(FINAL), columns.from_status != columns.to_status)
        .order_by(columns.id)
    )  # fmt: skip
    with database.read() as connection:
        newest = connection.execute(select(func.max(columns.id))).scalar() or 0
        if newest <= line:
            return line, 0.0, []
        at = connection.execute(select(columns.time).where(columns.id == newest)).scalar_one()
        return newest, at, [Ending(*tuple(row)) for row in connection.execute(query)]


def read_cursor(database: Database) -> int | None:
    """The last line that was looked at; None when none ever was. A rebuilt database numbers its lines anew."""
    noted = _read(directory(database.home) / CURSOR)
    if noted is None:
        return None
    columns = transitions.c
    with database.read() as connection:
        at = connection.execute(select(columns.time).where(columns.id == noted["id"])).scalar()
        if at == noted["time"]:
            return int(noted["id"])
        before = select(func.max(columns.id)).where(columns.time <= noted["time"])
        return connection.execute(before).scalar() or 0


def write_cursor(home: Path, line: int, at: float) -> None:
    _write(directory(home) / CURSOR, {"id": line, "time": at})


def post(home: Path, name: str, message: dict[str, Any], due: float) -> None:
    """Writes a message, or one that was tried once more. `due` in Unix seconds."""
    _write(directory(home) / f"{name}.json", message, due)


def waiting(home: Path) -> Iterator[tuple[str, float]]:
    """The names of what waits, oldest first, and when each is due."""
    for path in _listed(home, "*.json"):
        if path.name != CURSOR:
            try:
                yield path.stem, path.stat().st_mtime
            except FileNotFoundError:
                continue  # delivered at this moment


def read_message(home: Path, name: str) -> dict[str, Any] | None:
    return _read(directory(home) / f"{name}.json")


def delivered(home: Path, name: str) -> None:
    (directory(home) / f"{name}.json").unlink(missing_ok=True)


def give_up(home: Path, name: str) -> None:
    path = directory(home) / f"{name}.json"
    path.rename(path.with_suffix(".failed"))


def put_off(home: Path, due: float) -> None:
    """Nothing is due before that."""
    for name, _ in waiting(home):
        os.utime(directory(home) / f"{name}.json", (due, due))


def given_up(home: Path) -> list[dict[str, Any]]:
    """What could not be delivered, oldest first."""
    return [message for path in _listed(home, "*.failed") if (message := _read(path)) is not None]


def _listed(home: Path, pattern: str) -> list[Path]:
    return sorted(directory(home).glob(pattern), key=lambda path: (len(path.name), path.name))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _write(path: Path, content: dict[str, Any], due: float | None = None) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    if due is not None:
        os.utime(temporary, (due, due))
    temporary.rename(path)
