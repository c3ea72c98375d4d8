"""From `events.jsonl` to the store: in batches, in order, exactly once."""

import logging
from typing import Any

from engines import events
from store.database import Database
from store.jobs import Job
from store.records import record

BATCH_BYTES = 1 << 20
log = logging.getLogger(__name__)


def ingest(database: Database, job: Job, *, max_batches: int | None = None) -> int:
    """Records what a job's worker has reported since last time. Returns how many lines that was.

    A torn last line waits for its rest. Lines that are not events are counted on the job and skipped.
    """
    path = database.run_dir(job.id) / events.FILE_NAME
    offset, lines_read, batches = job.events_offset, 0, 0
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return 0
    while size > offset and (max_batches is None or batches < max_batches):
        lines, end = events.read_lines(path, offset, BATCH_BYTES)
        if end == offset:
            break
        good = [event for event in events.parse(lines) if event is not None and _is_sound(event)]
        if len(good) < len(lines):
            log.warning("job %d: %d unreadable lines before byte %d", job.id, len(lines) - len(good), end)
        record(database, job.id, offset, end, good, unreadable=len(lines) - len(good))
        offset, lines_read, batches = end, lines_read + len(lines), batches + 1
    return lines_read


_REQUIRED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "metrics": {"step": int, "values": dict, "time": (int, float)},
    "progress": {"done": (int, float), "total": (int, float), "time": (int, float)},
    "example": {"key": str, "fields": dict},
    "score": {"name": str},
    "artifact": {"name": str, "path": str, "time": (int, float)},
    "checkpoint": {"path": str, "step": int, "time": (int, float)},
}
_EXAMPLE_FIELDS = {"example_id": str, "sample": int, "strict": bool, "robust": bool}


def _is_sound(event: dict[str, Any]) -> bool:
    """Whether an event has what its kind needs: any program may write to the file, and one bad line must not stop the rest."""
    required = _REQUIRED.get(event["kind"], {})
    if not all(isinstance(event.get(name), kind) for name, kind in required.items()):
        return False
    if event["kind"] == "metrics":
        return all(_is_number(value) for value in event["values"].values())
    if event["kind"] == "score":
        return event.get("value") is None or _is_number(event["value"])
    if event["kind"] == "example":
        return all(isinstance(event["fields"].get(name), kind) for name, kind in _EXAMPLE_FIELDS.items())
    return True


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value in ("nan", "inf", "-inf")
    return isinstance(value, int | float)
