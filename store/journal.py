"""The queue a second time, as plain files beside the database: what a damaged database is rebuilt from.

    experiments/<id>.json            the submission: recipe, provenance, jobs and who needs whom; written once
    experiments/<id>.journal.jsonl   one line for every change of a job: its row, its attempt, what it holds
    experiments/standing.json        what is not of one experiment: groups and schedules, as they are

A submission and what stands are in place before they are committed, and a change is appended right after it is committed. What workers
report is not here: it stands in `events.jsonl` of the run directories. Rows are written down as they are, so that a new
column needs nothing here.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Row, bindparam, select

from store import faults, paths
from store.schema import attempts, dependencies, experiments, gpu_reservations, groups, jobs, schedules

STANDING = (groups, schedules)

Lines = dict[int, list[bytes]]
"""Lines to append, by experiment."""

_CHANGED = "tunedeck.changed"
_JOB = select(*(column for column in jobs.c if column.name != "recipe")).where(
    jobs.c.id == bindparam("changed")
)
_ATTEMPT = select(attempts).where(
    attempts.c.job_id == bindparam("changed"), attempts.c.number == bindparam("number")
)
_HELD = select(gpu_reservations).where(gpu_reservations.c.job_id == bindparam("changed"))


def begin(connection: Connection) -> None:
    """A write transaction begins; the connection may have been used before."""
    connection.info[_CHANGED] = {}


def mark(connection: Connection, job_id: int, transition: dict[str, Any] | None = None) -> None:
    """This transaction changes a job; its line is made when all is changed."""
    noted = connection.info.setdefault(_CHANGED, {}).setdefault(job_id, [])
    if transition is not None:
        noted.append(transition)


def write_submission(connection: Connection, home: Path, experiment_id: int) -> None:
    """Puts a new experiment on file. OSError when there is no room; the transaction is then to be rolled back."""
    rows = connection.execute(select(jobs).where(jobs.c.experiment_id == experiment_id)).all()
    ids = [row.id for row in rows]
    record = {
        "experiment": _plain(
            connection.execute(select(experiments).where(experiments.c.id == experiment_id)).one()
        ),
        "jobs": [_plain(row) for row in rows],
        "dependencies": [
            _plain(row)
            for row in connection.execute(
                select(dependencies)
                .join(jobs, jobs.c.id == dependencies.c.job_id)
                .where(jobs.c.experiment_id == experiment_id)
            )
        ],
        "transitions": [
            {"job_id": job_id} | noted
            for job_id in ids
            for noted in connection.info[_CHANGED].pop(job_id, [])
        ],
    }
    # A submission that was rolled back may have left one of this number, and changes of its jobs.
    paths.journal(home, experiment_id).unlink(missing_ok=True)
    _replace(paths.submission(home, experiment_id), record)
    faults.point("submit.recorded")


def write_standing(connection: Connection, home: Path) -> None:
    """Puts groups and schedules on file as this transaction leaves them. OSError when there is no room.

    Before the commit: a schedule that is found on file with a time that was queued already would be queued twice.
    """
    _replace(
        paths.standing(home),
        {str(table.name): [_plain(row) for row in connection.execute(select(table))] for table in STANDING},
    )


def collect(connection: Connection) -> Lines:
    """The lines of what this transaction has changed, just before it is committed."""
    changed = connection.info.pop(_CHANGED, {})
    lines: Lines = {}
    for job_id, noted in changed.items():
        job = connection.execute(_JOB, {"changed": job_id}).first()
        if job is None:
            continue
        attempt = connection.execute(_ATTEMPT, {"changed": job_id, "number": job.attempt}).first()
        held = connection.execute(_HELD, {"changed": job_id})
        line = {
            "job": _plain(job),
            "attempt": _plain(attempt) if attempt else None,
            "reservations": [_plain(row) for row in held],
            "transitions": noted,
        }
        lines.setdefault(job.experiment_id, []).append(orjson.dumps(line) + b"\n")
    return lines


class Journal:
    """Appends lines; those for which there is no room wait in memory for the next chance."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._waiting: Lines = {}

    def append(self, lines: Lines) -> None:
        """Never raises for a full disk: the change is committed, and must not look as if it had failed."""
        for experiment_id, new in lines.items():
            self._waiting.setdefault(experiment_id, []).extend(new)
        for experiment_id in list(self._waiting):
            data = b"".join(self._waiting[experiment_id])
            try:
                self._write(paths.journal(self._home, experiment_id), data)
            except OSError:
                return
            del self._waiting[experiment_id]

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(file).st_size
            # A line that was cut short, by a kill or for want of room, must not swallow the next.
            if size and os.pread(file, 1, size - 1) != b"\n":
                data = b"\n" + data
            _write_all(file, data)
        finally:
            os.close(file)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal, without those that are torn or damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content.splitlines():
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("job"), dict):
            yield entry


def _plain(row: Row[Any]) -> dict[str, Any]:
    return {
        str(name): value for name, value in row._mapping.items()
    }  # SQLAlchemy has a text class of its own


def _replace(path: Path, content: dict[str, Any]) -> None:
    """The whole file or none."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(file, orjson.dumps(content))
    finally:
        os.close(file)
    temporary.rename(path)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
