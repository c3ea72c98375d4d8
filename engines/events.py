"""The way out of an engine: one JSON object a line, appended to `events.jsonl` in the run directory.

Every line is one `write` to a file opened for appending, so that what was logged survives a `kill -9` of the worker;
only a power cut can take it. Readers tolerate a torn last line. Each line carries `kind` and `time` (Unix seconds).

Kinds and their fields:

    started     attempt, pid, resume_step        one attempt begins; metrics after `resume_step` are taken back
    metrics     step, values {name: number}      non-finite numbers are the strings "nan", "inf", "-inf"
    progress    done, total, unit                for the progress bar and the ETA
    example     key, fields {...}                one scored example of an evaluation
    checkpoint  step, path                       a state to resume from; path is relative to the run directory
    artifact    name, path                       an output that other jobs or people use
    score       name, value, fields {...}        a final figure, with its interval where it has one
    message     level, text                      what a person should know
    stopped     step                             asked to stop, and did, at a checkpoint
    succeeded   -
    failed      error, hint, traceback
"""

import errno
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

FILE_NAME = "events.jsonl"
LONGEST_LINE = 16 << 20


class EventWriter:
    """Appends events to `run_dir/events.jsonl`. Nothing is buffered in the process, unless the disk is full."""

    def __init__(self, run_dir: Path) -> None:
        self._unwritten = b""
        self._file = os.open(run_dir / FILE_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # A writer that was killed inside a line must not swallow our first one.
        size = os.fstat(self._file).st_size
        if size:
            with (run_dir / FILE_NAME).open("rb") as existing:
                existing.seek(size - 1)
                if existing.read(1) != b"\n":
                    os.write(self._file, b"\n")

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """One point per name at `step`. Costs a few microseconds, so a training loop can call it at every step."""
        if not math.isfinite(sum(values.values())):
            values = {name: _as_json(value) for name, value in values.items()}
        self._write({"kind": "metrics", "time": time.time(), "step": step, "values": values})

    def emit(self, kind: str, **fields: Any) -> None:
        """Any other kind of event; the module docstring lists the fields of each."""
        self._write({"kind": kind, "time": time.time(), **fields})

    def progress(self, done: float, total: float, unit: str = "step") -> None:
        self.emit("progress", done=done, total=total, unit=unit)

    def message(self, text: str, level: str = "info") -> None:
        self.emit("message", level=level, text=text)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, event: dict[str, Any]) -> None:
        line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
        data = self._unwritten + line if self._unwritten else line
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            # A full disk must not end a training run: the line waits for room, and goes out before the next.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
        self._unwritten = data


def _as_json(value: float) -> Any:
    return float(value) if math.isfinite(value) else str(float(value))


def read_lines(path: Path, offset: int, limit_bytes: int) -> tuple[list[bytes], int]:
    """The complete lines from `offset` on, at most about `limit_bytes`, and the offset after them.

    A torn last line is left for the next call. A line longer than the limit is read whole, up to `LONGEST_LINE`.
    """
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(limit_bytes)
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) == limit_bytes:
            data += file.readline(LONGEST_LINE)
            # A line without end must not fill the memory: it is given out in pieces, which are no events.
            end = len(data) if data.endswith(b"\n") or len(data) > LONGEST_LINE else 0
    return data[:end].splitlines(), offset + end


def parse(lines: list[bytes]) -> Iterator[dict[str, Any] | None]:
    """Each line as an event, or None where it is not a JSON object with a `kind`."""
    for line in lines:
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            event = None
        yield event if isinstance(event, dict) and isinstance(event.get("kind"), str) else None
