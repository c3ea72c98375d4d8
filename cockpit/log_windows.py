"""A few hundred lines around any place of a log of any size: nothing else of it is read, and no index is made.

Lines are found from byte offsets, forwards and backwards. A line without end (a progress bar that only ever returns its
carriage) is broken where a whole block of the file holds no newline, which is the same wherever one comes from. The hole
that the daemon may have punched into the middle (see `daemon/log_files.py`) is one line that says how much is missing.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cockpit.figures import size_text
from cockpit.plain_text import plain_line

BLOCK = 1 << 18
"""A line is at most twice as long."""
LONGEST = 2000
"""Characters of a line that are shown."""
BEFORE, AFTER = 200, 300
"""Lines on either side of the place asked for."""
_WHOLE = 1 << 15
"""Bytes of a line that are read whole; of a longer one its beginning, or what its last carriage return left."""
_FIRST_PROBE = 1 << 12
_MOST_HOLES = 64


@dataclass(frozen=True)
class LogLine:
    """Bytes `start` to `end` (exclusive, with the newline) of a log, as plain text."""

    start: int
    end: int
    text: str
    dropped: bool = False
    """It stands for a hole."""


@dataclass(frozen=True)
class Stretch:
    """A run of bytes that are there, or that were dropped."""

    start: int
    end: int
    dropped: bool


def read_window(path: Path, place: int | None, known: int | None = None) -> tuple[list[LogLine], int]:
    """The lines around a byte offset (None: the last ones), and the size of the log. No log is an empty one.

    With `known`, as if the log ended behind so many bytes.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return [], 0
    try:
        size = os.lseek(file, 0, os.SEEK_END)
        size = size if known is None else min(size, known)
        stretches = stretches_of(file, size)
        if not size:
            return [], 0
        at_end = place is None or place >= size
        middle = size if at_end or place is None else start_before(file, stretches, max(place, 0) + 1)
        starts = [middle]
        while len(starts) <= (BEFORE + AFTER if at_end else BEFORE) and starts[-1] > 0:
            starts.append(start_before(file, stretches, starts[-1]))
        return list(lines_from(file, stretches, starts[-1], middle, AFTER)), size
    finally:
        os.close(file)


def stretches_of(file: int, size: int) -> list[Stretch]:
    """What is there and what is not, in order, without gaps; after very many holes the rest counts as there."""
    found: list[Stretch] = []
    place = 0
    while place < size:
        try:
            data = min(os.lseek(file, place, os.SEEK_DATA), size)
        except OSError:  # ENXIO: nothing but a hole from here to the end
            data = size
        if data > place:
            found.append(Stretch(place, data, True))
        hole = min(os.lseek(file, data, os.SEEK_HOLE), size) if data < size else size
        if len(found) > _MOST_HOLES:
            hole = size
        if hole > data:
            found.append(Stretch(data, hole, False))
        place = hole
    return found


def lines_from(file: int, stretches: list[Stretch], start: int, middle: int, after: int) -> Iterator[LogLine]:
    """Every line from one that begins at `start` to `middle`, and `after` more."""
    count = 0
    for stretch in stretches:
        place = max(start, stretch.start)
        while place < stretch.end and count < after:
            end = end_of(file, stretch, place)
            yield LogLine(place, end, _text(file, stretch, place, end), stretch.dropped)
            count += place >= middle
            place = end


def start_before(file: int, stretches: list[Stretch], place: int) -> int:
    """Where the line begins that the byte before `place` belongs to. `place` is between 1 and the size."""
    stretch = next(one for one in stretches if one.start < place <= one.end)
    if stretch.dropped:
        return stretch.start
    last = place - 1
    block = max(last // BLOCK * BLOCK, stretch.start)
    newline = _find_back(file, block, last)
    if newline is None and block > stretch.start:
        before = max(block - BLOCK, stretch.start)
        newline = _find_back(file, before, block)
        if newline is None:
            return block if block - before == BLOCK else stretch.start
    return stretch.start if newline is None else newline + 1


def end_of(file: int, stretch: Stretch, start: int) -> int:
    """Behind the line that begins at `start`."""
    if stretch.dropped:
        return stretch.end
    boundary = (start // BLOCK + 1) * BLOCK
    whole_block = start % BLOCK == 0
    while True:
        limit = min(boundary, stretch.end)
        newline = _find(file, start, limit)
        if newline is not None:
            return newline + 1
        if limit == stretch.end or whole_block:
            return limit
        start, boundary, whole_block = boundary, boundary + BLOCK, True


def _find(file: int, start: int, end: int) -> int | None:
    """The first newline from `start` on and before `end`."""
    step = _FIRST_PROBE
    while start < end:
        probe = os.pread(file, min(step, end - start), start)
        if not probe:
            return None
        if (place := probe.find(b"\n")) >= 0:
            return start + place
        start, step = start + len(probe), 4 * step
    return None


def _find_back(file: int, start: int, end: int) -> int | None:
    """The last newline from `start` on and before `end`."""
    step = _FIRST_PROBE
    while start < end:
        begin = max(start, end - step)
        if (place := os.pread(file, end - begin, begin).rfind(b"\n")) >= 0:
            return begin + place
        end, step = begin, 4 * step
    return None


def _text(file: int, stretch: Stretch, start: int, end: int) -> str:
    if stretch.dropped:
        return f"[{size_text(end - start)} of this log were dropped here]"
    length = end - start
    if length <= _WHOLE:
        raw = os.pread(file, length, start)
    else:
        tail = os.pread(file, _WHOLE, end - _WHOLE).rstrip(b"\r\n")
        returned = tail.rpartition(b"\r")
        raw = returned[2] if returned[1] else os.pread(file, _WHOLE, start)
    text = raw.decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2]
    shown = plain_line(text, LONGEST)
    return (
        f"{shown} ({size_text(length)} in this line)"
        if shown.endswith("…") and len(text) > LONGEST
        else shown
    )
