"""A new database out of what lies beside a damaged one: rows as the journal has them, in place of the file that was.

What workers reported is not restored here but ingested again, so the jobs come back as if nothing of it had been read.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Table

from store import journal, paths
from store.database import Database, is_damage
from store.schema import (
    attempts,
    dependencies,
    experiments,
    gpu_reservations,
    jobs,
    transitions,
)

UNREAD: dict[str, Any] = {
    "events_offset": 0,
    "unreadable_lines": 0,
    "progress_done": None,
    "progress_total": None,
    "progress_unit": None,
    "progress_at": None,
}
"""A job of which no event has been read."""

Bounds = list[tuple[int, int]]
"""Up to which byte of its events each attempt of a job has come: (attempt, offset), in order."""


def is_sound(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with a database file. A large one takes seconds."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            return bool(connection.execute("PRAGMA quick_check").fetchone() == ("ok",))
    except sqlite3.Error as error:
        if is_damage(error):
            return False
        raise


def set_aside(home: Path, how: str = "corrupt") -> Path | None:
    """Renames the database, with its log, to `tunedeck.db.<how>-<time>`. Never overwrites. None when there is none."""
    path = paths.database(home)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    names = (f"{path.name}.{how}-{stamp}{suffix}" for suffix in ("", *(f".{i}" for i in range(1, 100))))
    target = next(home / name for name in names if not (home / name).exists())
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    try:
        path.rename(target)
    except FileNotFoundError:
        return None
    return target


def read_submissions(home: Path) -> tuple[list[dict[str, Any]], list[Path]]:
    """The submissions on file, oldest first, and the files that cannot be read."""
    records, unreadable = [], []
    found = (home / "experiments").glob("[0-9]*.json")
    for path in sorted(found, key=lambda path: int(path.stem)):
        try:
            record = orjson.loads(path.read_bytes())
            records.append(record | {"experiment": record["experiment"], "jobs": record["jobs"]})
        except (OSError, ValueError, TypeError, KeyError):
            unreadable.append(path)
    return records, unreadable


def restore_standing(database: Database) -> Path | None:
    """Puts groups and schedules back. Returns the file when it cannot be read."""
    path = paths.standing(database.home)
    try:
        content = orjson.loads(path.read_bytes())
        rows = {table: list(content[table.name]) for table in journal.STANDING}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        return path
    with database.write() as connection:
        for table, found in rows.items():
            _insert(connection, table, found)
    return None


def restore(database: Database, record: Mapping[str, Any]) -> dict[int, Bounds]:
    """Puts a submission back, with what has become of its jobs. Returns how far the events of each attempt go."""
    experiment = record["experiment"]
    rows = {row["id"]: row for row in record["jobs"]}
    tries: dict[tuple[int, int], dict[str, Any]] = {}
    reservations: dict[int, list[dict[str, Any]]] = {}
    log = list(record["transitions"])
    bounds: dict[int, dict[int, int]] = {job_id: {} for job_id in rows}
    for entry in journal.read(paths.journal(database.home, experiment["id"])):
        job_id = entry["job"]["id"]
        if job_id not in rows:
            continue
        rows[job_id] = rows[job_id] | entry["job"]
        log += [{"job_id": job_id} | line for line in entry["transitions"]]
        reservations[job_id] = entry["reservations"]
        if attempt := entry["attempt"]:
            tries[job_id, attempt["number"]] = attempt
            bounds[job_id][attempt["number"]] = entry["job"]["events_offset"]
    with database.write() as connection:
        _insert(connection, experiments, [experiment])
        _insert(connection, jobs, [row | UNREAD for row in rows.values()])
        _insert(connection, dependencies, record["dependencies"])
        _insert(connection, attempts, tries.values())
        _insert(connection, transitions, log)
        _insert(connection, gpu_reservations, [row for held in reservations.values() for row in held])
    return {job_id: sorted(reached.items()) for job_id, reached in bounds.items()}


def add_attempts(database: Database, job_id: int, found: Iterable[Mapping[str, Any]]) -> None:
    """Adds attempts that only the run directory knows of, as running: the daemon settles how they ended."""
    with database.write() as connection:
        for attempt in found:
            _insert(connection, attempts, [attempt])
            log = {"from_status": None, "to_status": "running", "attempt": attempt["number"]}
            reason = "found in its run directory"
            line = {"job_id": job_id, "time": attempt["claimed_at"], "reason": reason, **log}
            _insert(connection, transitions, [line])
            changes = {"status": "running", "attempt": attempt["number"], "started_at": attempt["started_at"]}
            connection.execute(
                jobs.update().where(jobs.c.id == job_id).values(**changes, ended_at=None, exit_code=None)
            )


def add_job(database: Database, experiment: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Adds a job of which there is nothing but a run directory."""
    with database.write() as connection:
        _insert(connection, experiments.insert().prefix_with("OR IGNORE"), [experiment], experiments)
        _insert(connection, jobs, [row])


def count_as_attempt(database: Database, job_id: int, attempt: int) -> None:
    """Events that are read next are those of this attempt."""
    with database.write() as connection:
        connection.execute(jobs.update().where(jobs.c.id == job_id).values(attempt=attempt))


def _insert(
    connection: Connection, into: Any, rows: Iterable[Mapping[str, Any]], table: Table | None = None
) -> None:
    """Rows of another version may have columns that this one has not."""
    table = into if table is None else table
    insert = into.insert() if isinstance(into, Table) else into
    for row in rows:
        connection.execute(insert.values({c.name: row[c.name] for c in table.c if c.name in row}))
