"""Files of JSON lines that several workers append to and that a `kill -9` may cut short."""

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

logger = logging.getLogger(__name__)


def append_lines(path: Path, objects: Iterable[Any]) -> None:
    """One write for all of them, so that lines of different writers never mix."""
    data = b"".join(orjson.dumps(fields) + b"\n" for fields in objects)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(file).st_size
        # What a killed worker left of a line must not swallow ours.
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        data = b"\n" * torn + data
        while data:
            data = data[os.write(file, data) :]
    finally:
        os.close(file)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file, none where there is no file. Lines that were cut short are passed over."""
    if not path.is_file():
        return
    unreadable = 0
    with path.open("rb") as file:
        for line in file:
            try:
                fields = orjson.loads(line)
            except orjson.JSONDecodeError:
                fields = None
            if isinstance(fields, dict):
                yield fields
            else:
                unreadable += bool(line.strip())
    if unreadable:
        logger.warning("%s: %d unreadable lines", path, unreadable)
