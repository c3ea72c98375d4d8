"""The user's own program as a job.

The program becomes the job's worker process itself, with nothing of ours between it and its supervisor: its exit code
is the job's, SIGTERM reaches it when the job is cancelled, and its output goes to `worker.log`. It finds its run
directory in `$TUNEDECK_RUN_DIR` and may append events (see `engines/events.py`) to `$TUNEDECK_RUN_DIR/events.jsonl`.
"""

import os
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from engines.recipe.blocks import BaseRecipe, ResourcesBlock
from engines.run import Run


def _word(value: object) -> object:
    """`--steps, 100, --resume, true` are words on a command line, whatever they are in YAML."""
    return (
        str(value).lower()
        if isinstance(value, bool)
        else str(value)
        if isinstance(value, int | float)
        else value
    )


Word = Annotated[str, BeforeValidator(_word)]


class Recipe(BaseRecipe):
    """A program with its arguments."""

    parallelism: ClassVar[Literal["one", "shared", "own"]] = "own"

    engine: Literal["command"]
    argv: list[Word] = Field(min_length=1)
    """The program and its arguments, as a list; no shell is involved."""
    cwd: str | None = None
    """Working directory, by default and where it is relative from the one that the recipe was submitted from."""
    env: dict[str, Word] = {}
    """Environment variables to add."""
    resources: ResourcesBlock = ResourcesBlock(gpus=0)
    """What the job occupies while it runs."""


def run(recipe: Recipe, run: Run) -> None:
    """Replaces this process with the program. The daemon starts it the same way, without a Python in between."""
    os.chdir(recipe.cwd or run.dir)
    os.execvpe(recipe.argv[0], recipe.argv, os.environ | recipe.env | {"TUNEDECK_RUN_DIR": str(run.dir)})
