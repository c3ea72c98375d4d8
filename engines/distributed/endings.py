"""How a job of several processes ended: what each of them says of its own end, and what the job is said to have died of."""

import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FAILURE = "TUNEDECK_FAILURE"
"""Environment: the file that a process writes its error to, instead of the event that only the whole job may write."""
STOPPED = 75
"""Exit code of a worker that was asked to stop and can go on from a checkpoint (EX_TEMPFAIL)."""


@dataclass(frozen=True)
class Ending:
    """How one process ended."""

    rank: int
    exit_code: int
    """Negative for a signal."""
    ended_by_us: bool = False
    """Killed because another had ended badly."""


@dataclass(frozen=True)
class Verdict:
    """How the job ended."""

    exit_code: int
    """Negative for a signal."""
    failure: dict[str, Any] | None = None
    """Fields of the event `failed`."""


def own_directory(run_dir: Path, rank: int) -> Path:
    """Where one of several processes writes what is not the whole job's: the run directory is the first one's."""
    if rank == 0:
        return run_dir
    own = run_dir / f"process-{rank}"
    own.mkdir(exist_ok=True)
    return own


def failure_file(run_dir: Path, rank: int) -> Path:
    """Where a process leaves its error for the launcher."""
    return own_directory(run_dir, rank) / "failure.json"


def report_failure(fields: dict[str, Any]) -> bool:
    """Leaves the error to the launcher, if there is one that reads it."""
    if FAILURE not in os.environ:
        return False
    path = Path(os.environ[FAILURE])
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"time": time.time(), **fields}), encoding="utf-8")
    partial.replace(path)
    return True


def verdict(run_dir: Path, endings: list[Ending]) -> Verdict:
    """Of the processes, in the order in which they ended: what the first bad ending was, and what is to be said of it.

    A process that is killed takes the connections of the others along, who then fail: its own end counts. Of errors
    that several report, the first counts; processes that fail alike are one failure.
    """
    count = len(endings)
    own = [ending for ending in endings if not ending.ended_by_us]
    killed = next((ending for ending in own if ending.exit_code < 0), None)
    if killed is not None:
        if -killed.exit_code == signal.SIGTERM:  # asked to stop before it could listen
            return Verdict(killed.exit_code)
        text = f"process {killed.rank} of {count} was killed, and the others ended with it"
        return Verdict(killed.exit_code, {"error": text, "hint": "", "traceback": ""})
    bad = next((ending for ending in own if ending.exit_code not in (0, STOPPED)), None)
    if bad is None:
        return Verdict(max(ending.exit_code for ending in endings))
    reported = _reported(run_dir, count)
    if not reported:
        text = f"process {bad.rank} of {count} ended with exit code {bad.exit_code}; its last words are in the log"
        return Verdict(bad.exit_code, {"error": text, "hint": "", "traceback": ""})
    rank, first = reported[0]
    everywhere = len({fields["error"] for _, fields in reported}) == 1 and len(reported) == count
    text = first["error"] if everywhere or rank == 0 else f"process {rank} of {count}: {first['error']}"
    return Verdict(bad.exit_code, {"error": text, "hint": first["hint"], "traceback": first["traceback"]})


def _reported(run_dir: Path, count: int) -> list[tuple[int, dict[str, Any]]]:
    """The errors that were reported, oldest first, each with the rank of its process."""
    found = []
    for rank in range(count):
        path = failure_file(run_dir, rank)
        if path.is_file():
            found.append((rank, json.loads(path.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda pair: float(pair[1]["time"]))
