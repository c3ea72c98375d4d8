"""How much of a log was there at a past moment, as far as the log itself tells."""

import re
from datetime import datetime
from pathlib import Path

from store.past_files import last_known

_STAMP = re.compile(rb"^.{0,40}?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,]\d+)?(Z|[+-]\d\d:?\d\d)?")


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
        size = last_known(file.fileno(), status.st_size, moment, _time_of_line)
    if size:
        return size, "known up to here: later lines, or those without times, may have been there"
    return 0, "not known: this log has grown since, and its lines have no times up to then"


def _time_of_line(line: bytes) -> float | None:
    match = _STAMP.match(line)
    if match is None:
        return None
    zone = (match[2] or b"").decode().replace("Z", "+00:00")
    try:
        return datetime.fromisoformat(match[1].decode() + zone).timestamp()
    except (ValueError, OverflowError):
        return None
