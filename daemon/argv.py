"""What the worker of an attempt is: the user's own program, an engine, or several processes of an engine that share the job."""

import sys
from pathlib import Path

from engines.recipe.blocks import ResourcesBlock
from store.jobs import Job


def worker_argv(job: Job, run_dir: Path) -> list[str]:
    """The program that the supervisor starts, with its arguments.

    A command needs no Python between itself and its supervisor: it is the worker. `-P` keeps a folder `engines` in the
    working directory from being taken for ours.
    """
    if job.engine == "command":
        return list(job.recipe["argv"])
    count = ResourcesBlock.model_validate(job.recipe.get("resources", {})).process_count
    if count == 1:
        return [sys.executable, "-P", "-m", "engines", str(run_dir)]
    return [sys.executable, "-P", "-m", "engines.distributed.launcher", str(run_dir), str(count)]
