"""Supervised fine-tuning: teach a model worked solutions in the prompt's format, on TRL's SFTTrainer.

Two stages in the seed's terms: `prep` shows a base model a few examples, so that it learns the format; `full` goes on
from there with more of them. Both are the same training; the stage decides the default number of examples.
"""

from typing import ClassVar, Literal

from pydantic import Field

from engines.recipe.blocks import Traces
from engines.run import Run
from engines.training.supervised_fields import SupervisedRecipe

PREP_SAMPLES = 128
"""Examples of stage `prep` where the recipe names no number."""


class Recipe(SupervisedRecipe):
    """Supervised fine-tuning of a model on a task's worked solutions."""

    outputs: ClassVar[tuple[str, ...]] = ("model",)
    parallelism: ClassVar[Literal["one", "shared", "own"]] = "shared"

    engine: Literal["sft"]
    stage: Literal["prep", "full"] = "full"
    """`prep` teaches the format (128 examples unless `train_samples` says otherwise), `full` the task."""
    train_samples: int | None = Field(None, ge=1)
    """How many training examples; for the same seed, 256 are the first 256 of 512. Null: all (`prep`: 128)."""
    traces: Traces | None = None
    """Train on these solutions instead of the task's: the path of a JSONL file, or `{from: job}`."""


def run(recipe: Recipe, run: Run) -> None:
    """Load, check, train, check, save."""
    from engines.distributed.world import World
    from engines.tasks.loading import load_examples
    from engines.training.budget import Meter
    from engines.training.solutions import worked_solutions
    from engines.training.supervised import train_supervised

    count = recipe.train_samples or (PREP_SAMPLES if recipe.stage == "prep" else None)
    examples = worked_solutions(recipe.task, recipe.traces, count, run)
    dev = load_examples(recipe.task, "dev")[: recipe.eval_samples] if recipe.eval_steps else []
    about = {"engine": "sft", "recipe": recipe.model_dump(mode="json", by_alias=True)}
    meter = Meter(run.dir, writes=World().leads)
    record = train_supervised(recipe, run, examples, dev, stage=recipe.stage, about=about, meter=meter)
    if record is not None:
        meter.budget.emit(run.events)
