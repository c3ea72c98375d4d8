"""`report_to`: the trainer's logs also to TensorBoard, Weights & Biases or trackio, below the run directory.

Tunedeck's own record of a run does not depend on it. Keys, such as WANDB_API_KEY, come from the worker's environment and
nowhere else; see `TUNEDECK_PASS_ENV` in `daemon/environment.py`.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from engines.recipe.errors import RecipeError
from engines.run import Run

PACKAGES = {
    "tensorboard": ("tensorboardX", "tensorboard"),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
}
"""Of each, the packages of which one must be there; the first is the one to install."""
_DIRECTORIES = {"tensorboard": "TENSORBOARD_LOGGING_DIR", "wandb": "WANDB_DIR", "trackio": "TRACKIO_DIR"}
"""The variables by which they are told where to write."""


def check_reporters(report_to: Sequence[str]) -> None:
    """RecipeError where one is not installed: found out now, and not when the model is loaded."""
    for name in report_to:
        if not any(_is_there(package) for package in PACKAGES[name]):
            package = PACKAGES[name][0]
            raise RecipeError(
                f"report_to: {name}: the package `{package}` is not installed",
                hint=f"`pip install {package}`, or leave it out: `tunedeck export` gives the metrics later",
            )


def reporter_arguments(report_to: Sequence[str], run: Run) -> dict[str, Any]:
    """Fields of `TrainingArguments`. What a reporter leaves on this machine goes into a folder of its name in the run."""
    for name in report_to:
        directory = run.dir / name
        directory.mkdir(exist_ok=True)
        os.environ[_DIRECTORIES[name]] = str(directory)
        run.events.emit("artifact", name=name, path=name)
    return {"report_to": list(report_to) or "none", "run_name": run.name or None}


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:
        return False
