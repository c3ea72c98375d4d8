"""The fork server: a warm interpreter that runs each request in processes of its own and watches them.

Started by the pool as its own program; requests come as frames on stdin, answers leave as frames on stdout. No
expected output ever comes here.
"""

import json
import os
import struct
import sys
import time
from typing import Any

from engines.sandbox import confine, linux
from engines.sandbox.gate import Job
from engines.sandbox.limits import Guard, Limits
from engines.sandbox.process import Process, end, how_it_ended, let_go, pump, start

FRAME = struct.Struct(">I")
_PRELOADED = (
    "abc array base64 bisect calendar cmath collections contextlib copy dataclasses datetime decimal difflib enum "
    "fractions functools hashlib heapq io itertools math numbers operator queue random re statistics string textwrap "
    "threading time types typing unicodedata zlib"
)


def main(base: str) -> None:
    """Serve until stdin ends. `base` is an empty directory of ours."""
    for name in _PRELOADED.split():
        __import__(name)
    confine.readable_paths()
    os.environ.clear()
    linux.adopt_orphans()
    linux.hide_memory()
    tasks = confine.tasks_of(confine.NOBODY if os.geteuid() == 0 else os.geteuid())
    try:
        while (request := _read_frame()) is not None:
            _handle(request, base, tasks)
    except (EOFError, BrokenPipeError):
        pass  # Nobody is there any more to answer to.
    _empty(base)
    os.rmdir(base)  # noqa: PTH106


def _handle(request: dict[str, Any], base: str, tasks: int) -> None:
    guards: frozenset[Guard] = frozenset(request["guards"])
    job = Job(
        request["what"], request["code"], request["entry"], request["inputs"], request["nonce"].encode(),
        Limits(**request["limits"]), guards, base, 0 if "namespaces" in guards else tasks,
    )  # fmt: skip
    if job.what == "probe":
        process = start(job, 0)
        end(process)
        _answer({"infra": process.trouble} if process.trouble else {})
    else:
        _serve(job)
    _empty(base)
    _answer({"done": True})


def _serve(job: Job) -> None:
    """Run one process after the other until each input has its outcome."""
    ends_at = time.monotonic() + job.limits.run_wall
    answered = deaths = 0
    while answered < len(job.inputs):
        process = start(job, answered)
        if process.trouble:
            end(process)
            _answer({"infra": process.trouble})
            return
        _answer({"started": True})
        let_go(process)
        if job.what == "program":
            kind, printed, detail = _watch_program(process, ends_at)
            _answer({"outcome": [answered, kind, printed, detail]})
            answered += 1
        else:
            answered, kind, detail = _watch_calls(process, answered, job, ends_at)
            if kind != "ok":
                _answer({"outcome": [answered, kind, "", detail]})
                answered += 1
        deaths += kind in ("timeout", "killed")
        late = time.monotonic() >= ends_at
        if late or deaths >= job.limits.deaths:
            last = "timeout" if late else kind
            for number in range(answered, len(job.inputs)):
                _answer({"outcome": [number, last, "", f"not run, after {last} of the one before"]})
            return


def _watch_program(process: Process, ends_at: float) -> tuple[str, str, str]:
    """How a program ended, what it printed, and why."""
    limits = process.limits
    deadline = min(time.monotonic() + limits.wall, ends_at)
    stdout = next(iter(process.streams))
    while process.status is None and stdout not in process.overflowed and time.monotonic() < deadline:
        pump(process, deadline)
    end(process)
    printed, complaint = process.text(0), process.text(1).strip().rpartition("\n")[2][:200]
    if stdout in process.overflowed:
        return "exception", "", f"printed more than {limits.output} bytes"
    if process.status is None:
        return "timeout", printed, f"more than {limits.wall:g} s"
    kind, detail = how_it_ended(process.status)
    if kind == "exception" and complaint.startswith("MemoryError"):
        kind = "oom"
    return kind, printed, f"{detail}: {complaint}" if kind != "ok" and complaint else detail


def _watch_calls(process: Process, answered: int, job: Job, ends_at: float) -> tuple[int, str, str]:
    """Pass outcomes on as they come. Returns how many inputs are answered and, unless all are, the next one's end."""
    while answered < len(job.inputs):
        deadline = min(time.monotonic() + job.limits.wall, ends_at)
        while _has_no_line(process) and process.status is None and time.monotonic() < deadline:
            pump(process, deadline)
        line, newline, rest = process.results.partition(b"\n")
        outcome = _outcome_of(bytes(line), job.nonce, answered) if newline else None
        if outcome is None:
            end(process)
            return answered, *_why_none(process, bool(newline), job.limits)
        process.results = rest
        process.overflowed.discard(process.result)
        _answer({"outcome": outcome})
        answered += 1
    end(process, is_leaving=True)
    return answered, "ok", ""


def _has_no_line(process: Process) -> bool:
    return b"\n" not in process.results and process.result not in process.overflowed


def _why_none(process: Process, has_line: bool, limits: Limits) -> tuple[str, str]:
    """The end of a process that owes a result."""
    if has_line or process.result in process.overflowed:
        return "killed", "it wrote what is no result"
    if process.status is None:
        return "timeout", f"more than {limits.wall:g} s"
    kind, detail = how_it_ended(process.status)
    return (
        "timeout" if kind == "timeout" else "killed"
    ), f"it left before the result ({detail or 'exit status 0'})"


def _outcome_of(line: bytes, nonce: bytes, number: int) -> list[Any] | None:
    """The outcome in a line, if it has the form that is due; whether it is true is not asked here."""
    if not line.startswith(nonce):
        return None
    try:
        told = json.loads(line[len(nonce) :])
    except (ValueError, RecursionError):
        return None
    if not (isinstance(told, list) and len(told) == 3 and told[0] == number and isinstance(told[2], str)):
        return None
    _, kind, text = told
    if kind == "ok":
        return [number, kind, text, ""]
    return [number, kind, "", text[:300]] if kind in ("wrong_type", "exception", "oom") else None


def _empty(base: str) -> None:
    """Remove what a submission left in the directory; only without namespaces can there be anything."""
    for directory, directories, files in os.walk(base, topdown=False):
        for name in files:
            os.unlink(f"{directory}/{name}")  # noqa: PTH108
        for name in directories:
            path = f"{directory}/{name}"
            (os.unlink if os.path.islink(path) else os.rmdir)(path)  # noqa: PTH114


def _read_frame() -> dict[str, Any] | None:
    head = sys.stdin.buffer.read(FRAME.size)
    if len(head) < FRAME.size:
        return None
    frame: dict[str, Any] = json.loads(sys.stdin.buffer.read(*FRAME.unpack(head)))
    return frame


def _answer(frame: dict[str, Any]) -> None:
    body = json.dumps(frame).encode()
    rest = memoryview(FRAME.pack(len(body)) + body)
    while rest:
        rest = rest[os.write(1, rest) :]
