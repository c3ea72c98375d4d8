"""Reading a worker's log, which may have a hole where its middle was: see `daemon/log_files.py`."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from cockpit.figures import size_text

_BLOCK = 1 << 20


def blocks_from(path: Path, offset: int) -> Iterator[tuple[int, bytes]]:
    """What the log holds behind an offset, as (offset behind it, bytes). A hole is a line that says how much is missing."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        while True:
            begin = _next_data(file, offset)
            if begin is None:
                return
            if begin > offset:
                said = f"\n[tunedeck: {size_text(begin - offset)} of this log were dropped here]\n"
                offset = begin
                yield offset, said.encode()
            length = min(_BLOCK, os.lseek(file, offset, os.SEEK_HOLE) - offset)
            block = os.pread(file, length, offset)
            if not block:
                return
            offset += len(block)
            yield offset, block
    finally:
        os.close(file)


def tail_offset(path: Path, lines: int) -> int:
    """Where the last `lines` lines begin, read from the end: logs can be large. Never before a hole."""
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        position = os.lseek(file, 0, os.SEEK_END)
        floor = _end_of_hole(file)
        tail = b""
        while position > floor and tail.count(b"\n") <= lines:
            step = min(1 << 16, position - floor)
            position -= step
            tail = os.pread(file, step, position) + tail
    finally:
        os.close(file)
    kept = tail.splitlines(keepends=True)[-lines:] if lines else []
    return position + len(tail) - sum(map(len, kept))


def _next_data(file: int, offset: int) -> int | None:
    """Where there is something at or behind an offset; None behind the end."""
    try:
        return os.lseek(file, offset, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


def _end_of_hole(file: int) -> int:
    """Where the hole ends; 0 where there is none. The end of the file counts as a hole to the kernel."""
    size = os.lseek(file, 0, os.SEEK_END)
    hole = os.lseek(file, 0, os.SEEK_HOLE) if size else 0
    return (_next_data(file, hole) or 0) if hole < size else 0
