"""Taking things out of a home directory so that a kill at any moment leaves nothing by halves.

What goes is first renamed, in one step, to a name that nobody looks for, and only then deleted; what a killed prune left
under such names goes with the next. Of a job, the renaming happens inside of a write transaction that has looked once
more whether it may: nobody can retry the job or start another from it meanwhile. What was taken stands in `pruned.json`
of the run directory and in the job's audit log.
"""

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store import faults
from store.database import Database
from store.jobs import read_job
from store.locks import is_held
from store.moves import log_transition
from store.retention import TRASH, Victim, why_needed

MARKER = "pruned.json"
"""{"pruned": [{"time", "kind", "names", "bytes"}]}, in a run directory."""
SUPERVISOR_LOCK = "supervisor.lock"


@dataclass
class Pruned:
    """What a prune has done."""

    bytes: int = 0
    paths: int = 0
    spared: int = 0
    """Jobs of which something was planned that may no longer go."""


def prune(database: Database, victims: Sequence[Victim]) -> Pruned:
    """Takes these away. What a job needs by now, or what is gone by now, is left."""
    done = Pruned()
    by_job: dict[tuple[int, str], list[Victim]] = {}
    for victim in victims:
        if victim.job_id is None:
            _remove(done, victim, _aside(victim.path))
        else:
            by_job.setdefault((victim.job_id, victim.kind), []).append(victim)
    for (job_id, kind), mine in by_job.items():
        _prune_job(database, job_id, kind, mine, done)
    return done


def read_marker(run_dir: Path) -> list[dict[str, Any]]:
    """What was taken out of a run directory, oldest first, and is not there again."""
    try:
        entries = json.loads((run_dir / MARKER).read_text(encoding="utf-8"))["pruned"]
        # Marked first, then taken: between the two, it is still there.
        return [entry for entry in entries if not any((run_dir / name).exists() for name in entry["names"])]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _prune_job(database: Database, job_id: int, kind: str, mine: Sequence[Victim], done: Pruned) -> None:
    run_dir = database.run_dir(job_id)
    names = [str(victim.path.relative_to(run_dir)) for victim in mine]
    size = sum(victim.bytes for victim in mine)
    told = [name for name in names if not name.startswith(TRASH)]
    with database.write() as connection:
        job = read_job(connection, job_id)
        if not job.is_final or why_needed(database, job_id) or _is_supervised(run_dir):
            done.spared += 1
            return
        if told:
            _mark(run_dir, {"time": time.time(), "kind": kind, "names": told, "bytes": size})
            text = f"pruned: {', '.join(told)} ({size} bytes)"
            log_transition(connection, job_id, job.status, job.status, job.attempt, text, time.time())
        faults.point("prune.marked")
        moved = [(victim, _aside(victim.path)) for victim in mine]
    faults.point("prune.renamed")
    for victim, trash in moved:
        _remove(done, victim, trash)


def _aside(path: Path) -> Path | None:
    """Renames something to what marks it as on its way out. None when it is gone, or in use."""
    if path.name.startswith(TRASH):
        return path
    if path.is_dir() and _is_supervised(path):
        return None
    for number in range(1000):
        trash = path.with_name(f"{TRASH}-{path.name}-{number}")
        if not trash.exists():
            try:
                path.rename(trash)
            except FileNotFoundError:
                return None
            return trash
    return None


def _remove(done: Pruned, victim: Victim, trash: Path | None) -> None:
    if trash is None:
        return
    if trash.is_dir() and not trash.is_symlink():
        shutil.rmtree(trash)
    else:
        trash.unlink(missing_ok=True)  # of a link, the link: what it leads to is somebody else's
    done.bytes += victim.bytes
    done.paths += 1


def _mark(run_dir: Path, entry: dict[str, Any]) -> None:
    content = json.dumps({"pruned": [*read_marker(run_dir), entry]}, indent=2)
    temporary = run_dir / f"{MARKER}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(content + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(run_dir / MARKER)


def _is_supervised(run_dir: Path) -> bool:
    """Whether a supervisor lives: see `daemon/launch.py`."""
    try:
        return is_held(run_dir / SUPERVISOR_LOCK)
    except OSError:  # its job has spoilt it
        return False
