"""Whose process is that? Ours when it descends from a job's worker, or carries the job's run directory in its environment.

The second finds what a launcher has put into a session of its own and left to init.
"""

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.processes import Identity, is_alive

DEEPEST = 64


@dataclass(frozen=True)
class GpuJob:
    """A job that runs and has cards."""

    job_id: int
    attempt: int
    devices: tuple[str, ...]
    worker: Identity | None
    """None while it starts."""
    run_dir: Path
    claimed_at: float
    """When its first attempt was claimed, in Unix seconds."""
    started_at: float | None


def owner_of(pid: int, jobs: Sequence[GpuJob]) -> int | None:
    """The job that a process belongs to; None for a foreign one."""
    workers = {job.worker["pid"]: job for job in jobs if job.worker is not None and is_alive(job.worker)}
    ancestor: int | None = pid
    for _ in range(DEEPEST):
        if ancestor is None or ancestor <= 1:
            break
        if ancestor in workers:
            return workers[ancestor].job_id
        ancestor = _parent(ancestor)
    marked = _run_dir(pid)
    return next((job.job_id for job in jobs if str(job.run_dir) == marked), None)


def describe(pid: int) -> str:
    """A process in words: pid, program and user, as far as they can be found out."""
    try:
        program = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
        user_id = Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return f"pid {pid}, which cannot be seen from here"
    try:
        user = pwd.getpwuid(user_id).pw_name
    except KeyError:
        user = f"user {user_id}"
    return f"pid {pid} ({program}, {user})"


def _parent(pid: int) -> int | None:
    try:
        # The second field, the program's name, may hold spaces and parentheses: count from its end.
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _run_dir(pid: int) -> str | None:
    """What a process of ours has in `TUNEDECK_RUN_DIR`; others' environments cannot be read."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    for entry in environment.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name == b"TUNEDECK_RUN_DIR":
            return os.fsdecode(value)
    return None
