"""What the daemon itself observes of a running job: points of series beside the worker's own, and warnings."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from store import metrics
from store.database import Database
from store.schema import messages

Batch = tuple[int, int, Sequence[dict[str, Any]]]


def record_samples(database: Database, batches: Iterable[Batch]) -> dict[int, list[dict[str, Any]]]:
    """Writes (job id, attempt, events) down, all in one transaction. Returns the events that were new, by job.

    Events are as in `events.jsonl`: `metrics` and `message`. A message that the job has already is not repeated, so
    that a fact which holds for hours is said once.
    """
    new: dict[int, list[dict[str, Any]]] = {}
    with database.write() as connection:
        for job_id, attempt, events in batches:
            new[job_id] = []
            for event in events:
                if event["kind"] == "metrics":
                    rows = [
                        (name, event["step"], value, event["time"]) for name, value in event["values"].items()
                    ]
                    metrics.append(connection, job_id, attempt, rows)
                elif _is_known(connection, job_id, event["text"]):
                    continue
                else:
                    columns = {key: event[key] for key in ("time", "kind", "level", "text")}
                    connection.execute(messages.insert().values(job_id=job_id, **columns))
                new[job_id].append(event)
    return new


def _is_known(connection: Connection, job_id: int, text: str) -> bool:
    query = select(messages.c.id).where(messages.c.job_id == job_id, messages.c.text == text).limit(1)
    return connection.execute(query).first() is not None
