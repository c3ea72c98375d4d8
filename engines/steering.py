"""Steering: a search for a direction, a layer and a strength that make a model answer more questions right, and its proof.

Directions come from the model's own right and wrong answers; what they do is measured against no steering on the same
questions, and against directions that mean nothing, searched with the same budget. What is found is confirmed on questions
that the search never saw, then tested once. That no steering wins is a result like any other.
"""

from typing import ClassVar, Literal

from engines.run import Run
from engines.steer.fields import SteeringRecipe

VERBS = {"validate": "engines.steer.validate:validate"}
"""What can be asked of a model before a search: `tunedeck engine steering validate RECIPE`."""


class Recipe(SteeringRecipe):
    """A search for steering that makes a model answer more questions right, with its controls."""

    outputs: ClassVar[tuple[str, ...]] = ("vector",)

    engine: Literal["steering"]


def resume_step(_run: Run) -> int | None:
    """None: an attempt reports the trials of earlier ones again, which are in its database."""
    return None


def run(recipe: Recipe, run: Run) -> None:
    """All stages; those that are done are passed over."""
    from engines.steer.journal import StopRequested
    from engines.steer.stages import Stages

    for text in recipe.remarks():
        run.events.message(text)
    try:
        Stages(recipe, run).all()
    except StopRequested:
        run.stopped_early = True
