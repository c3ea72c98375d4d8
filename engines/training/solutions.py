"""The worked solutions that a recipe trains on: the task's own, or traces."""

from engines.recipe.blocks import TaskBlock, TracesBlock
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.tasks.example import Example
from engines.tasks.loading import load_examples, test_examples, training_examples
from engines.tasks.splits import permuted
from engines.training.rows import read_traces, traces_file


def worked_solutions(
    task: TaskBlock, block: TracesBlock | None, count: int | None, run: Run
) -> list[Example]:
    """So many of them in the seed's order, all where `count` is None. Traces hold no question of dev or test; the run says
    which of a teacher's replies are left out."""
    return solutions_and_rest(task, block, count, run)[0]


def solutions_and_rest(
    task: TaskBlock, block: TracesBlock | None, count: int | None, run: Run
) -> tuple[list[Example], list[Example]]:
    """The same, and the traces beyond `count`: solutions in the same manner that are not trained on."""
    if block is None:
        return training_examples(task, count, run.seed), []
    path = traces_file(block, run)
    held_out = load_examples(task, "dev") + test_examples(task)
    traces = read_traces(path, held_out, lambda text: run.events.message(text, "warning"))
    if count is not None and count > len(traces):
        raise RecipeError(
            f"train_samples: {count} asked for, but {path} has {len(traces)} traces",
            hint=f"ask for at most {len(traces)}",
        )
    ordered = permuted(traces, run.seed)
    kept = len(ordered) if count is None else count
    return ordered[:kept], ordered[kept:]
