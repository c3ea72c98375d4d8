"""From a claimed job to a supervisor process: the run directory is written, the lock taken, the process started."""

import fcntl
import json
import os
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from daemon.argv import worker_argv
from daemon.nursery import Nursery
from daemon.records import read_record
from daemon.supervisor import EXIT_NAME, LAUNCH_NAME, LOCK_NAME, PROCESS_NAME
from engines.recipe.document import write_document
from engines.recipe.merging import merged
from store import faults, jobs, lifecycle, paths
from store.database import Database
from store.jobs import Job
from store.locks import is_held
from store.results import provenance_of

RECIPE_NAME = "recipe.yaml"
CHANGED_RECIPE_NAME = "recipe-{}.yaml"
"""Of an attempt that follows a lack of memory; the first stays as it was submitted."""
GRACE_SECONDS = 30.0
"""How long a worker may take to write its checkpoint after SIGTERM."""


@dataclass(frozen=True)
class Machine:
    """What the daemon gives out."""

    cpu_slots: int
    threads: int
    """CPU threads of a job without a GPU."""
    dropped_variables: list[str]
    """Names of the daemon's variables that no job gets."""


def start(database: Database, machine: Machine, nursery: Nursery, job: Job, devices: list[str]) -> None:
    """Starts the supervisor of a job's current attempt. Returns at once."""
    run_dir = prepare(database, machine, job, devices)
    faults.point("spawn.frozen")
    lock = os.open(run_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        nursery.fork(run_dir, job.attempt, lock)
        faults.point("spawn.started")
    except ConnectionError:
        os.close(lock)
        lock = -1
        if not is_supervised(run_dir):
            raise
    finally:
        if lock >= 0:
            os.close(lock)  # the supervisor's copy keeps the lock


def prepare(
    database: Database,
    machine: Machine,
    job: Job,
    devices: list[str] | None,
    grace_seconds: float = GRACE_SECONDS,
) -> Path:
    """Writes the run directory of an attempt: everything that its supervisor goes by. `devices` None: Slurm says which."""
    run_dir = database.run_dir(job.id)
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    faults.point("reserve.committed")
    job, recipe_name = _with_fallbacks(database, run_dir, job)
    _freeze(database, run_dir, job, recipe_name, devices, machine, grace_seconds)
    return run_dir


def process_file(run_dir: Path, attempt: int) -> Path:
    """Who supervisor and worker of an attempt are."""
    return run_dir / PROCESS_NAME.format(attempt)


def exit_file(run_dir: Path, attempt: int) -> Path:
    """How an attempt ended."""
    return run_dir / EXIT_NAME.format(attempt)


def is_supervised(run_dir: Path) -> bool:
    """Whether a supervisor lives: the kernel frees its lock when it dies, however it dies."""
    return is_held(run_dir / LOCK_NAME)


def supervisor_of(run_dir: Path, attempt: int) -> dict[str, Any] | None:
    """Who the supervisor of an attempt is or was, from its lock: that is written before the worker begins."""
    noted = read_record(run_dir / LOCK_NAME) or {}
    return noted.get("supervisor") if noted.get("attempt") == attempt else None


def _with_fallbacks(database: Database, run_dir: Path, job: Job) -> tuple[Job, str]:
    """The job as this attempt runs it, and the name of its recipe file: changed after it has run out of memory."""
    _write_recipe(run_dir / RECIPE_NAME, job.recipe)
    steps = (job.recipe.get("retry", {}).get("on_oom") or [])[: job.fallbacks]
    if not steps:
        return job, RECIPE_NAME
    changes: dict[str, Any] = reduce(merged, steps, {})
    changed = replace(job, recipe=merged(job.recipe, changes))
    name = CHANGED_RECIPE_NAME.format(job.attempt)
    _write_recipe(run_dir / name, changed.recipe)
    lifecycle.record_changes(database, job, changes)
    return changed, name


def _write_recipe(path: Path, recipe: dict[str, Any]) -> None:
    """Once and never again."""
    if not path.exists():
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text(write_document(recipe), encoding="utf-8")
        temporary.rename(path)


def _freeze(
    database: Database,
    run_dir: Path,
    job: Job,
    recipe_name: str,
    devices: list[str] | None,
    machine: Machine,
    grace_seconds: float,
) -> None:
    """Writes what this attempt runs."""
    experiment, provenance = provenance_of(database, job.experiment_id)
    if not (run_dir / "provenance.json").exists():
        (run_dir / "provenance.json").write_text(json.dumps(provenance, indent=2))
    log = run_dir / "worker.log"
    inputs = {
        alias: str(database.run_dir(needed.id)) for needed, alias in jobs.needs_of(database, job.id) if alias
    }
    is_command = job.engine == "command"
    launch = {
        "job": job.id,
        "name": job.name,
        "attempt": job.attempt,
        "recipe": recipe_name,
        "log_offset": log.stat().st_size if log.exists() else 0,
        "experiment": {"id": job.experiment_id, "name": experiment},
        "argv": worker_argv(job, run_dir),
        "cwd": str(Path(provenance.get("cwd") or run_dir, (is_command and job.recipe["cwd"]) or "")),
        "env": _environment(run_dir, devices, machine) | (job.recipe["env"] if is_command else {}),
        "dropped_env": machine.dropped_variables,
        "timeout": job.recipe.get("timeout"),
        "grace_seconds": grace_seconds,
        "inputs": inputs,
        "cache": str(paths.cache(database.home)),
    }
    (run_dir / LAUNCH_NAME).write_text(json.dumps(launch, indent=2))


def _environment(run_dir: Path, devices: list[str] | None, machine: Machine) -> dict[str, str]:
    """What is added to what is passed on of the daemon's own environment, which is never written down."""
    added = {
        "TUNEDECK_RUN_DIR": str(run_dir),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if devices is not None:
        added["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    if not devices and "OMP_NUM_THREADS" not in os.environ:
        added["OMP_NUM_THREADS"] = str(machine.threads)
    return added
