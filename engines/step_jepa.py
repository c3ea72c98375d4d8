"""Step-JEPA: fine-tune on worked solutions while every step predicts the embedding of the next one.

The loss on embeddings comes from the same forward pass, behind the ordinary row, which does not see it: the language
loss is that of `sft`. Before training, a proof that this is so on the model at hand.
"""

from typing import ClassVar, Literal

from pydantic import Field

from engines.jepa.recipe import JepaRecipe
from engines.recipe.blocks import Traces
from engines.run import Run

VERBS = {
    "show-mask": "engines.jepa.show_mask:show_mask",
    "coverage": "engines.jepa.show_coverage:show_coverage",
}
"""What can be looked at before training: `tunedeck engine step_jepa show-mask RECIPE`."""


class Recipe(JepaRecipe):
    """Supervised fine-tuning that also learns to predict the next step's embedding (Step-JEPA, LLM-JEPA, STP)."""

    outputs: ClassVar[tuple[str, ...]] = ("model",)

    engine: Literal["step_jepa"]
    train_samples: int | None = Field(None, ge=1)
    """How many training examples; for the same seed, 256 are the first 256 of 512. Null: all."""
    traces: Traces | None = None
    """Train on these solutions instead of the task's: the path of a JSONL file, or `{from: job}`."""


def run(recipe: Recipe, run: Run) -> None:
    """Load, check, prove, train, check, save."""
    from engines.jepa.training import train_jepa
    from engines.tasks.loading import load_examples
    from engines.training.budget import Meter
    from engines.training.solutions import solutions_and_rest

    for remark in recipe.remarks():
        run.events.message(remark, "warning")
    examples, rest = solutions_and_rest(recipe.task, recipe.traces, recipe.train_samples, run)
    dev = load_examples(recipe.task, "dev")
    about = {"engine": "step_jepa", "recipe": recipe.model_dump(mode="json", by_alias=True)}
    meter = Meter(run.dir)
    if train_jepa(recipe, run, examples, dev, rest=rest, about=about, meter=meter) is not None:
        meter.budget.emit(run.events)
