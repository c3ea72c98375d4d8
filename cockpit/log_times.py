"""How much of a log was there at a past moment, as far as the log itself tells."""

import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

_STAMP = re.compile(rb"^.{0,40}?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?")
BLOCK = 1 << 18
"""Bytes without a line that has a time, after which none is looked for."""


def size_at(path: Path, moment: float) -> tuple[int, str]:
    """Bytes that are known to have been written by a moment, and in words what is not known.

    A log that has not changed since was as it is. Of another one, all before the last line with a time up to then was:
    lines without times are only known to be older than the next line that has one.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, ""
    if status.st_mtime <= moment:
        return status.st_size, ""
    with path.open("rb") as file:
        size = _last_known(file.fileno(), status.st_size, moment)
    if size:
        return size, "known up to here: later lines, or those without times, may have been there"
    return 0, "not known: this log has grown since, and its lines have no times up to then"


def _last_known(file: int, size: int, moment: float) -> int:
    """Behind the last line with a time up to the moment. Times are taken to rise."""
    low, high = 0, size
    while high - low > BLOCK:
        middle = (low + high) // 2
        behind_cut_line = next((end for _, end in _lines(file, middle, BLOCK)), size)
        found = next(_stamped(file, behind_cut_line, middle + BLOCK), None)
        if found is None or found[0] > moment:
            high = middle
        else:
            low = found[1]
    known = low
    for at, end in _stamped(file, low, high):
        if at > moment:
            break
        known = end
    return known


def _stamped(file: int, start: int, stop: int) -> Iterator[tuple[float, int]]:
    """The times of the lines that begin from `start` on and before `stop`, and where those lines end."""
    for line, end in _lines(file, start, max(stop - start, 0) + BLOCK):
        if end - len(line) > stop:
            return
        if (match := _STAMP.match(line)) and (at := _time(match)) is not None:
            yield at, end


def _lines(file: int, start: int, length: int) -> Iterator[tuple[bytes, int]]:
    """The whole lines in a stretch of bytes, and where each ends."""
    end = start
    for line in os.pread(file, length, start).split(b"\n")[:-1]:
        end += len(line) + 1
        yield line, end


def _time(match: re.Match[bytes]) -> float | None:
    zone = (match[2] or b"").decode().replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(match[1].decode() + zone).timestamp()
    except (ValueError, OverflowError):
        return None
