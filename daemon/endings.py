"""How an attempt ended, from what its supervisor wrote, and what the recipe's retry rule makes of that."""

import json
import re
import signal
from pathlib import Path
from typing import Any

from daemon.supervisor import LAUNCH_NAME
from store import results
from store.database import Database
from store.jobs import Job
from store.lifecycle import Outcome
from store.schema import Status

STOPPED_EXIT_CODE = 75  # see engines/__main__.py
LOG_TAIL_BYTES = 8192
"""Where a program's last words are. An error that it has got over stands further up."""

_SIGNAL_NAMES = {number.value: number.name for number in signal.Signals}  # most real-time signals have none
_OUT_OF_MEMORY = re.compile(
    r"OutOfMemoryError|out of memory|CUBLAS_STATUS_ALLOC_FAILED|can't allocate memory|^MemoryError\b",
    re.MULTILINE | re.IGNORECASE,
)
"""What torch, CUDA, cuBLAS, torch's CPU allocator and Python say."""


def outcome_of(database: Database, job: Job, was_started: bool, ending: dict[str, Any] | None) -> Outcome:
    """The attempt's outcome; whether it is retried, when, and with what."""
    rule = job.recipe.get("retry", {})
    retried = rule.get("on", [])
    if ending is None and not was_started:
        return Outcome(Status.QUEUED, None, "the daemon was killed before it could start it")
    if ending is None:
        vanished = "its supervisor or its run directory vanished"
        return Outcome(Status.LOST, None, vanished, retry="lost" in retried, delay=pause(job))
    code, reason = ending["exit_code"], ending["reason"]
    usage = {key: ending[key] for key in ("cpu_seconds", "peak_memory_bytes")}

    def outcome(status: Status, text: str | None, retry: bool = False, fallback: bool = False) -> Outcome:
        delay = pause(job) if retry and not fallback else 0.0
        return Outcome(status, code, text, retry, delay, fallback, ending["ended_at"], usage)

    # Many programs exit with 0 when they are stopped halfway; our engines only when they are done.
    if code == 0 and (reason == "exited" or job.engine != "command"):
        return outcome(Status.SUCCEEDED, None)
    if reason == "timeout":
        return outcome(
            Status.FAILED, f"ran into its timeout of {job.recipe['timeout']:g} s", "timeout" in retried
        )
    if reason in ("stopped", "limit") or code == STOPPED_EXIT_CODE:
        return outcome(Status.QUEUED, "stopped at a checkpoint; goes on from there")
    how = f"killed by {_SIGNAL_NAMES.get(-code, f'signal {-code}')}" if code < 0 else f"exit code {code}"
    if code == 127:
        how += ", its program could not be started; see its log"
    said = results.last_failure(database, job.id, since=ending["started_at"])
    text = f"{said} ({how})" if said else how
    kernel_kills = ending.get("kernel_kills", 0)
    if kernel_kills:
        text += f"; the kernel ended {kernel_kills} processes for want of memory while it ran"
    out_of_memory = kernel_kills > 0 or _ran_out_of_memory(database.run_dir(job.id), said)
    if out_of_memory and not said and not kernel_kills:
        text = f"ran out of memory ({how})"
    fallback = out_of_memory and job.fallbacks < len(rule.get("on_oom") or [])
    return outcome(Status.FAILED, text, "failed" in retried and _is_retried_code(rule, code), fallback)


def _is_retried_code(rule: dict[str, Any], code: int) -> bool:
    """Whether the rule covers an exit code. A signal may be given as a shell does: 137 for SIGKILL."""
    codes = rule.get("exit_codes")
    return codes is None or code in codes or (code < 0 and 128 - code in codes)


def pause(job: Job) -> float:
    """Seconds before the next attempt: `delay`, and `backoff` times as long after each."""
    rule = job.recipe.get("retry", {})
    used = rule.get("times", 0) - job.retries_left
    seconds: float = rule.get("delay", 0.0) * rule.get("backoff", 1.0) ** min(used, 64)
    return min(seconds, float(rule.get("longest_delay", 3600.0)))


def _ran_out_of_memory(run_dir: Path, said: str | None) -> bool:
    """Whether the worker's own report says so, or, where it left none, the end of this attempt's log."""
    if said is not None:
        return bool(_OUT_OF_MEMORY.search(said))
    try:
        begin = json.loads((run_dir / LAUNCH_NAME).read_text()).get("log_offset", 0)
        with (run_dir / "worker.log").open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(begin, size - LOG_TAIL_BYTES))
            tail = log.read().decode("utf-8", "replace")
    except (OSError, ValueError):
        return False
    return bool(_OUT_OF_MEMORY.search(tail))
