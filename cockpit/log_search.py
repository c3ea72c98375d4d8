"""Looking for a regular expression in a log of any size, forwards or backwards, block by block."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cockpit.log_windows import Stretch, end_of, start_before, stretches_of
from store.patterns import asks_for_capitals, compiled

_BLOCK = 1 << 20
_OVERLAP = 1 << 16
"""A match that is longer may be missed where it crosses a block."""


def compile_pattern(text: str) -> Any:
    """`^` and `$` match at every line. PatternError where it is no pattern."""
    return compiled(f"(?m){text}".encode(), ignore_case=not asks_for_capitals(text))


def find(
    path: Path,
    pattern: Any,
    place: int,
    forwards: bool,
    told: Callable[[int], bool],
) -> tuple[int, int] | None:
    """Where the nearest line that the pattern matches in begins and ends: at or behind `place` forwards, before it backwards.

    `told` hears the offset that was reached after every block, and ends the search by answering False. Escape
    sequences and carriage returns are in the bytes that are searched.
    """
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        stretches = stretches_of(file, os.lseek(file, 0, os.SEEK_END))
        blocks = _forwards(stretches, place) if forwards else _backwards(stretches, place)
        for start, end in blocks:
            found = _match(file, pattern, start, end, forwards)
            if found is not None:
                line = start_before(file, stretches, found + 1)
                stretch = next(one for one in stretches if one.start <= line < one.end)
                return line, end_of(file, stretch, line)
            if not told(end if forwards else start):
                return None
        return None
    finally:
        os.close(file)


def _match(file: int, pattern: Any, start: int, end: int, forwards: bool) -> int | None:
    """The first or last match that begins in start..end and holds something; it may go on behind."""
    # With the byte before, `^` knows whether a line begins here.
    lead = min(start, 1)
    data = os.pread(file, lead + end - start + _OVERLAP, start - lead)
    found = (m.start() for m in pattern.finditer(data, lead) if m.end() > m.start())
    places = (start - lead + place for place in found if start - lead + place < end)
    return next(places, None) if forwards else max(places, default=None)


def _forwards(stretches: list[Stretch], place: int) -> Iterator[tuple[int, int]]:
    for one in stretches:
        start = max(one.start, place)
        while not one.dropped and start < one.end:
            yield start, min(start + _BLOCK, one.end)
            start += _BLOCK


def _backwards(stretches: list[Stretch], place: int) -> Iterator[tuple[int, int]]:
    for one in reversed(stretches):
        end = min(one.end, place)
        while not one.dropped and end > one.start:
            yield max(end - _BLOCK, one.start), end
            end -= _BLOCK
