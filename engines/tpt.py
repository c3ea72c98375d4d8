"""Think, Prune, Train: a model learns from its own right solutions, round after round, in one job.

Each round samples solutions to training questions, keeps what is right and sound, trains on exactly as much of it as the
recipe says, and evaluates what came out. Every part leaves files in `r{t}/`, which are the evidence that it is done: a
killed job goes on with the part that was cut short. Presets make the same loop into RFT, STaR or ReST-EM.
"""

from typing import ClassVar, Literal

from engines.pruning.round_fields import RoundsRecipe
from engines.run import Run


class Recipe(RoundsRecipe):
    """A model learns from its own right solutions: rounds of thinking, pruning and training."""

    outputs: ClassVar[tuple[str, ...]] = ("model",)

    engine: Literal["tpt"]


def resume_step(run: Run) -> int | None:
    """Optimizer steps of the rounds that are trained, and of the one that has a checkpoint."""
    from engines.pruning.round_files import steps_so_far

    return steps_so_far(run)


def run(recipe: Recipe, run: Run) -> None:
    """Round after round: think, prune, train, evaluate; then leave the best."""
    from engines.pruning.rounds import Rounds

    for text in recipe.remarks():
        run.events.message(text, "warning")
    with Rounds(recipe, run) as rounds:
        if not rounds.evaluate(0):
            return
        for number in range(1, recipe.rounds + 1):
            if not rounds.think(number):
                return
            rounds.prune(number)
            if rounds.must_not_train(number):
                break
            if not rounds.train(number) or not rounds.evaluate(number):
                return
            if rounds.must_not_go_on():
                break
        rounds.finish(about={"engine": "tpt", "recipe": recipe.model_dump(mode="json", by_alias=True)})
