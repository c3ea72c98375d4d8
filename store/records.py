"""What workers report, written down exactly once.

`record` applies a batch of events and moves the job's offset in the same transaction. The offset it started from is
checked first, so that a batch read twice is written once.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert

from store import faults, metrics
from store.database import Database, StoreError
from store.moves import log_transition
from store.schema import FINAL, artifacts, examples, jobs, messages, scores

Event = dict[str, Any]
RESUMES = "resumes from step "
"""How the message begins of an attempt that goes on from a checkpoint."""


def record(
    database: Database,
    job_id: int,
    start: int,
    end: int,
    events: Sequence[Event],
    unreadable: int = 0,
    amendment: str | None = None,
) -> None:
    """Writes the events read from bytes `start` to `end` of a job's `events.jsonl`, in order.

    An amendment comes after the job's end, and not from its worker: it goes to the audit log, and is refused while
    the job waits or runs.
    """
    with database.write() as connection:
        row = connection.execute(
            select(jobs.c.events_offset, jobs.c.attempt, jobs.c.status).where(jobs.c.id == job_id)
        ).one()
        if row.events_offset != start:
            raise StoreError(f"job {job_id}: events up to byte {row.events_offset} are recorded, not {start}")
        if amendment is not None:
            if row.status not in FINAL:
                raise StoreError(f"job {job_id}: is {row.status}\nhint: wait until it has ended")
            log_transition(connection, job_id, row.status, row.status, row.attempt, amendment, time.time())
        connection.execute(
            jobs.update()
            .where(jobs.c.id == job_id)
            .values(events_offset=end, unreadable_lines=jobs.c.unreadable_lines + unreadable)
        )
        attempt = row.attempt
        for kind, batch in _runs_of_one_kind(events):
            if kind == "metrics":
                metrics.append(connection, job_id, attempt, _points(batch))
            elif kind == "progress":
                _progress(connection, job_id, batch[-1])
            elif kind == "started":
                for event in batch:
                    attempt = event.get("attempt") or attempt
                    metrics.retract(connection, job_id, event.get("resume_step"))
                    _message(connection, job_id, event)
            else:
                apply = _APPLY.get(kind, _message)
                for event in batch:
                    apply(connection, job_id, event)
        faults.point("ingest.uncommitted")
    faults.point("ingest.committed")


def _runs_of_one_kind(events: Iterable[Event]) -> Iterable[tuple[str, list[Event]]]:
    """Neighbours of one kind together: metrics come in long runs and are written by the thousand."""
    batch: list[Event] = []
    for event in events:
        if batch and batch[0]["kind"] != event["kind"]:
            yield batch[0]["kind"], batch
            batch = []
        batch.append(event)
    if batch:
        yield batch[0]["kind"], batch


def _points(batch: Sequence[Event]) -> Iterable[tuple[str, int, float | None, float]]:
    for event in batch:
        for name, value in event["values"].items():
            number = float(value)
            yield name, event["step"], None if number != number else number, float(event["time"])


def _progress(connection: Connection, job_id: int, event: Event) -> None:
    connection.execute(
        jobs.update()
        .where(jobs.c.id == job_id)
        .values(
            progress_done=event["done"],
            progress_total=event["total"],
            progress_unit=event.get("unit"),
            progress_at=event["time"],
        )
    )


def _example(connection: Connection, job_id: int, event: Event) -> None:
    fields = event["fields"]
    values = {
        "example_id": fields["example_id"],
        "sample": fields["sample"],
        "strict": fields["strict"],
        "robust": fields["robust"],
        "fields": fields,
    }
    _upsert(connection, examples, {"job_id": job_id, "key": event["key"]}, values)


def _score(connection: Connection, job_id: int, event: Event) -> None:
    values = {"value": event.get("value"), "fields": event.get("fields") or {}}
    _upsert(connection, scores, {"job_id": job_id, "name": event["name"]}, values)


def _artifact(connection: Connection, job_id: int, event: Event) -> None:
    values = {"name": event.get("name") or event["kind"], "step": event.get("step"), "time": event["time"]}
    _upsert(connection, artifacts, {"job_id": job_id, "path": event["path"]}, values)


def _message(connection: Connection, job_id: int, event: Event) -> None:
    text = event.get("text") or event.get("error") or ""
    if hint := event.get("hint"):
        text += f"\nhint: {hint}"
    if event["kind"] == "started" and event.get("resume_step") is not None:
        text = f"{RESUMES}{event['resume_step']}"
    level = event.get("level") or ("error" if event["kind"] == "failed" else "info")
    connection.execute(
        messages.insert().values(
            job_id=job_id, time=event.get("time") or 0.0, kind=event["kind"], level=level, text=text
        )
    )


def _upsert(connection: Connection, table: Any, key: dict[str, Any], values: dict[str, Any]) -> None:
    """A worker that redoes its work after a kill reports the same keys again; the newest report counts."""
    statement = insert(table).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


_APPLY: dict[str, Callable[[Connection, int, Event], None]] = {
    "example": _example,
    "score": _score,
    "artifact": _artifact,
    "checkpoint": _artifact,
}
"""Kinds that have a table; the others are kept as messages."""
