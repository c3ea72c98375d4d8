"""Which training questions are thought about."""

from engines.pruning.overlap import contaminated
from engines.pruning.round_fields import RoundsRecipe
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.tasks.example import Example
from engines.tasks.loading import test_examples, training_examples


def thought_about(recipe: RoundsRecipe, run: Run) -> list[Example]:
    """What is thought about: training questions that have nothing in common with the test."""
    pool = training_examples(recipe.task, None, run.seed)
    if recipe.decontaminate is not None:
        test = [example.question for example in test_examples(recipe.task)]
        shared = contaminated([example.question for example in pool], test, recipe.decontaminate)
        if any(shared):
            what = f"that share {recipe.decontaminate} words in a row with a test question"
            run.events.message(f"left out {sum(shared)} of {len(pool)} training questions {what}", "warning")
        pool = [example for example, is_shared in zip(pool, shared, strict=True) if not is_shared]
    if len(pool) < (recipe.num_questions or 1):
        raise RecipeError(
            f"num_questions: {recipe.num_questions or 1} asked for, but there are {len(pool)}",
            hint=f"ask for at most {len(pool)}, or set `decontaminate: null` where wordings are shared by design",
        )
    return pool[: recipe.num_questions]
