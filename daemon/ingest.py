"""From `events.jsonl` to the store: in batches, in order, exactly once."""

import logging
from collections.abc import Callable
from typing import Any

from engines import events
from store.database import Database
from store.jobs import Job
from store.records import record

BATCH_BYTES = 1 << 20
log = logging.getLogger(__name__)


def ingest(database: Database, job: Job, *, max_batches: int | None = None, until: int | None = None) -> int:
    """Records what a job's worker has reported since last time. Returns how many lines that was.

    `until` is an offset at which a line ends; what lies behind it is left. A torn last line waits for its rest. Lines that are not events are counted on the job and skipped.
    """
    path = database.run_dir(job.id) / events.FILE_NAME
    offset, lines_read, batches = job.events_offset, 0, 0
    try:
        size = path.stat().st_size if until is None else min(until, path.stat().st_size)
    except FileNotFoundError:
        return 0
    while size > offset and (max_batches is None or batches < max_batches):
        lines, end = events.read_lines(path, offset, min(BATCH_BYTES, size - offset))
        if end == offset:
            break
        good = [event for event in events.parse(lines) if event is not None and is_sound(event)]
        if len(good) < len(lines):
            log.warning("job %d: %d unreadable lines before byte %d", job.id, len(lines) - len(good), end)
        record(database, job.id, offset, end, good, unreadable=len(lines) - len(good))
        offset, lines_read, batches = end, lines_read + len(lines), batches + 1
    return lines_read


def is_sound(event: dict[str, Any]) -> bool:
    """Whether the store can take an event: any program may write to the file, and one bad line must not stop the rest."""
    checks = _CHECKS.get(event["kind"], _MESSAGE)
    return all(check(event.get(name)) for name, check in checks.items())


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_number(value) and isinstance(value, int) and -(2**63) <= value < 2**63  # as SQLite has them


def _is_value(value: Any) -> bool:
    return _is_number(value) or value in ("nan", "inf", "-inf")


def _are_values(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_value, value.values()))


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict) and _is_shallow(value)


def _is_shallow(value: Any, levels: int = 32) -> bool:
    """Whether it can be written down as JSON again, which fails where it is nested by the hundred."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(part, levels - 1) for part in inner)


def _is_example(value: Any) -> bool:
    return (
        _is_mapping(value)
        and _is_text(value.get("example_id"))
        and _is_integer(value.get("sample"))
        and isinstance(value.get("strict"), bool)
        and isinstance(value.get("robust"), bool)
    )


def _or_missing(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


_MESSAGE = {
    "time": _or_missing(_is_number),
    "level": _or_missing(_is_text),
    "text": _or_missing(_is_text),
    "error": _or_missing(_is_text),
    "hint": _or_missing(_is_text),
}
_CHECKS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "started": _MESSAGE | {"attempt": _or_missing(_is_integer), "resume_step": _or_missing(_is_integer)},
    "metrics": {"step": _is_integer, "values": _are_values, "time": _is_number},
    "progress": {
        "done": _is_number,
        "total": _is_number,
        "unit": _or_missing(_is_text),
        "time": _is_number,
    },
    "example": {"key": _is_text, "fields": _is_example},
    "score": {"name": _is_text, "value": _or_missing(_is_value), "fields": _or_missing(_is_mapping)},
    "artifact": {"name": _is_text, "path": _is_text, "step": _or_missing(_is_integer), "time": _is_number},
    "checkpoint": {"name": _or_missing(_is_text), "path": _is_text, "step": _is_integer, "time": _is_number},
}
"""What each kind must hold; all others are messages."""
