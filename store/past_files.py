"""How far a file that only ever grows had grown by a past moment, and the progress that a worker had reported by then.

Lines tell their times, which are taken to rise: the last one up to the moment is found by bisection, so that of a file of
any size only a few blocks are read.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

EVENTS = "events.jsonl"
BLOCK = 1 << 18
"""Bytes without a line that has a time, after which none is looked for."""
_FARTHEST = 1 << 22
"""Bytes of events before a moment in which the progress is looked for."""

TimeOf = Callable[[bytes], float | None]


def last_known(file: int, size: int, moment: float, time_of: TimeOf) -> int:
    """Behind the last line with a time up to the moment; 0 where there is none."""
    low, high = 0, size
    while high - low > BLOCK:
        middle = (low + high) // 2
        behind_cut_line = next((end for _, end in _lines(file, middle, BLOCK)), size)
        found = next(_timed(file, behind_cut_line, middle + BLOCK, time_of), None)
        if found is None or found[0] > moment:
            high = middle
        else:
            low = found[1]
    known = low
    for at, end in _timed(file, low, high, time_of):
        if at > moment:
            break
        known = end
    return known


def progress_at(run_dir: Path, moment: float) -> dict[str, Any] | None:
    """The columns of a job's progress as its worker had reported it by a moment; None where that is not known."""
    try:
        file = os.open(run_dir / EVENTS, os.O_RDONLY)
    except OSError:
        return None
    try:
        end = last_known(file, os.fstat(file).st_size, moment, _time_of_event)
        start = max(end - _FARTHEST, 0)
        for line in reversed(os.pread(file, end - start, start).split(b"\n")):
            event = _event(line) if b'"progress"' in line else None
            if event and _is_progress(event):
                return _columns(event)
        return _columns({}) if start == 0 and end > 0 else None
    except OSError:
        return None
    finally:
        os.close(file)


def _columns(event: dict[str, Any]) -> dict[str, Any]:
    numbers = {"progress_done": "done", "progress_total": "total", "progress_at": "time"}
    columns: dict[str, Any] = {"progress_unit": event.get("unit")}
    return columns | {name: _number(event.get(key)) for name, key in numbers.items()}


def _time_of_event(line: bytes) -> float | None:
    event = _event(line)
    return _number(event.get("time")) if event else None


def _is_progress(event: dict[str, Any]) -> bool:
    """Programs of people write events too, and what is no progress to the daemon was none then (`daemon/ingest.py`)."""
    is_told = all(_number(event.get(name)) is not None for name in ("done", "total", "time"))
    return event.get("kind") == "progress" and is_told and isinstance(event.get("unit"), str | None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def _timed(file: int, start: int, stop: int, time_of: TimeOf) -> Iterator[tuple[float, int]]:
    """The times of the lines that begin from `start` on and before `stop`, and where those lines end."""
    for line, end in _lines(file, start, max(stop - start, 0) + BLOCK):
        if end - len(line) > stop:
            return
        if (at := time_of(line)) is not None:
            yield at, end


def _lines(file: int, start: int, length: int) -> Iterator[tuple[bytes, int]]:
    """The whole lines in a stretch of bytes, and where each ends."""
    end = start
    for line in os.pread(file, length, start).split(b"\n")[:-1]:
        end += len(line) + 1
        yield line, end
