"""From a claimed job to a supervisor process: the run directory is written, the lock taken, the process started."""

import fcntl
import json
import os
import sys
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

from daemon.argv import worker_argv
from daemon.environment import passed_on
from daemon.supervisor import EXIT_NAME, LAUNCH_NAME, LOCK_NAME, PROCESS_NAME
from engines.recipe.document import write_document
from engines.recipe.merging import merged
from store import faults, jobs, lifecycle, paths
from store.database import Database
from store.jobs import Job
from store.results import get_experiment

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


def start(database: Database, machine: Machine, job: Job, devices: list[str]) -> None:
    """Starts the supervisor of a job's current attempt. Returns at once."""
    run_dir = database.run_dir(job.id)
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    faults.point("reserve.committed")
    job, recipe_name = _with_fallbacks(database, run_dir, job)
    _freeze(database, run_dir, job, recipe_name, devices, machine)
    faults.point("spawn.frozen")
    lock = os.open(run_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.set_inheritable(lock, True)
        argv = [sys.executable, "-P", "-m", "daemon.supervisor", str(run_dir), str(job.attempt), str(lock)]
        log = str(run_dir / "worker.log")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.posix_spawn(
            sys.executable,
            argv,
            passed_on(os.environ)[0],
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )
        faults.point("spawn.started")
    finally:
        os.close(lock)  # the supervisor's copy keeps the lock


def process_file(run_dir: Path, attempt: int) -> Path:
    """Who supervisor and worker of an attempt are."""
    return run_dir / PROCESS_NAME.format(attempt)


def exit_file(run_dir: Path, attempt: int) -> Path:
    """How an attempt ended."""
    return run_dir / EXIT_NAME.format(attempt)


def is_supervised(run_dir: Path) -> bool:
    """Whether a supervisor lives: the kernel frees its lock when it dies, however it dies."""
    try:
        lock = os.open(run_dir / LOCK_NAME, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


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
    database: Database, run_dir: Path, job: Job, recipe_name: str, devices: list[str], machine: Machine
) -> None:
    """Writes what this attempt runs."""
    experiment = get_experiment(database, job.experiment_id)
    provenance = experiment.provenance
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
        "experiment": {"id": experiment.id, "name": experiment.name},
        "argv": worker_argv(job, run_dir),
        "cwd": str(Path(provenance.get("cwd") or run_dir, (is_command and job.recipe["cwd"]) or "")),
        "env": _environment(run_dir, devices, machine) | (job.recipe["env"] if is_command else {}),
        "dropped_env": passed_on(os.environ)[1],
        "timeout": job.recipe.get("timeout"),
        "grace_seconds": GRACE_SECONDS,
        "inputs": inputs,
        "cache": str(paths.cache(database.home)),
    }
    (run_dir / LAUNCH_NAME).write_text(json.dumps(launch, indent=2))


def _environment(run_dir: Path, devices: list[str], machine: Machine) -> dict[str, str]:
    """What is added to what is passed on of the daemon's own environment, which is never written down."""
    added = {
        "TUNEDECK_RUN_DIR": str(run_dir),
        "CUDA_VISIBLE_DEVICES": ",".join(devices),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if not devices and "OMP_NUM_THREADS" not in os.environ:
        added["OMP_NUM_THREADS"] = str(machine.threads)
    return added
