"""What a recipe would train on, without a model and without running it: for those who look before they train."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.events import FILE_NAME, EventWriter
from engines.jepa.boundaries import stepped_rows
from engines.jepa.controls import random_boundaries
from engines.jepa.recipe import JepaRecipe
from engines.jepa.rows import SteppedRow
from engines.modeling.loading import load_tokenizer
from engines.prompts.rendering import resolve_prefill
from engines.prompts.spec import PromptSpec
from engines.recipe.bases import base_model
from engines.recipe.blocks import TracesBlock
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.tasks.example import Example
from engines.training.solutions import worked_solutions
from engines.verbs.request import Request


@dataclass(frozen=True)
class Preview:
    """The examples of a job in the order of training, and what makes rows of them."""

    job: str
    others: list[str]
    """The recipe's other jobs of this engine."""
    recipe: JepaRecipe
    base: str
    tokenizer: Any
    spec: PromptSpec
    examples: list[Example]
    remarks: list[str]
    """What a person should know about the examples."""

    def rows(self, examples: Sequence[Example]) -> list[SteppedRow]:
        """As training has them, steps cut at random included where the recipe asks for that control."""
        rows = stepped_rows(self.tokenizer, self.spec, examples, self.recipe.steps)
        if self.recipe.jepa.control == "random_boundary":
            return [random_boundaries(row, self.recipe.seed) for row in rows]
        return rows

    def find(self, which: str) -> Example:
        """The example of that number, from 0, or of that id. Raises RecipeError where there is none."""
        if which.isdecimal() and int(which) < len(self.examples):
            return self.examples[int(which)]
        named = [example for example in self.examples if example.id == which]
        if not named:
            raise RecipeError(
                f"--example: there is no training example `{which}`",
                hint=f"give a number from 0 to {len(self.examples) - 1}, or an id such as {self.examples[0].id}",
            )
        return named[0]


def preview(request: Request, traces: Path | None) -> Preview:
    """What the job would train on. `traces` is a file to take instead of those that the recipe names."""
    recipe = request.job.recipe
    assert isinstance(recipe, JepaRecipe)
    block, remarks = getattr(recipe, "traces", None), []
    if traces is not None:
        block = TracesBlock(path=str(traces))
    elif block is not None and block.from_ is not None:
        remarks.append(
            f"the traces of job `{block.from_}` are made when it runs: these are the task's own solutions "
            "(--traces FILE shows others)"
        )
        block = None
    base = base_model(request.plan, request.job)
    with tempfile.TemporaryDirectory() as directory:
        run = Run(dir=Path(directory), events=EventWriter(Path(directory)), seed=recipe.seed)
        tokenizer = load_tokenizer(base, run)
        examples = worked_solutions(recipe.task, block, getattr(recipe, "train_samples", None), run)
        written = (Path(directory) / FILE_NAME).read_text(encoding="utf-8").splitlines()
    remarks += [event["text"] for event in map(json.loads, written) if event["kind"] == "message"]
    spec = resolve_prefill(tokenizer, recipe.prompt)
    others = [
        one.name for one in request.plan.jobs if one.engine == request.job.engine and one is not request.job
    ]
    return Preview(request.job.name, others, recipe, str(base.base), tokenizer, spec, examples, remarks)
