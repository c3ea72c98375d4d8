"""How much of a log was there at a past moment, as far as the log itself tells."""

import os
import re
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
    low, high, known = 0, size, 0
    while low < high:
        middle = (low + high) // 2
        if high - low <= BLOCK:
            middle = low
        found = _first_stamp(file, middle, min(middle + BLOCK, high), middle == 0 or middle == known)
        if found is None or found[0] > moment:
            if middle == low:
                return known
            high = middle
        else:
            low = known = found[1]
    return known


def _first_stamp(file: int, start: int, end: int, at_line: bool) -> tuple[float, int] | None:
    """The time of the first line of a stretch that has one, and where that line ends. A line cut in two has none."""
    data = os.pread(file, end - start, start)
    place = 0 if at_line else data.find(b"\n") + 1
    if not at_line and place == 0:
        return None
    while place < len(data):
        stop = data.find(b"\n", place)
        if stop < 0:
            return None
        if (match := _STAMP.match(data[place:stop])) and (at := _time(match)) is not None:
            return at, start + stop + 1
        place = stop + 1
    return None


def _time(match: re.Match[bytes]) -> float | None:
    zone = (match[2] or b"").decode().replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(match[1].decode() + zone).timestamp()
    except (ValueError, OverflowError):
        return None
