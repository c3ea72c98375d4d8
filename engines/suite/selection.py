"""Which questions an evaluation or a training asks: the tasks of a `suite:` block with their items."""

from collections.abc import Sequence

from engines.recipe.blocks import Split, SuiteBlock
from engines.recipe.errors import RecipeError
from engines.suite.catalog import PRESETS, suite_task
from engines.suite.item import Item, SuiteTask
from engines.suite.loading import made_items, read_items
from engines.tasks.splits import question_key

_MADE = 100
_SUBSAMPLED = 1000
"""Public tasks with more questions are cut to so many, as GURU does."""


def tasks_of(suite: SuiteBlock) -> list[SuiteTask]:
    """The tasks, in the order of the preset or the list."""
    names: Sequence[str] = PRESETS[suite.tasks] if isinstance(suite.tasks, str) else suite.tasks
    return [suite_task(name) for name in names]


def items_of(suite: SuiteBlock, task: SuiteTask, split: Split) -> list[Item]:
    """The questions of one task, the same ones for every model and every seed."""
    if suite.source == "made":
        return made_items(task, split, suite.examples or _MADE)
    if split != "test":
        raise RecipeError(
            f"split: `{split}` of public tasks is not defined: what is published is for testing",
            hint="use `split: test`, or `source: made`",
        )
    items = read_items(task, suite.paths.get(task.name))  # type: ignore[call-overload]
    # The smallest hashes: a sample that does not depend on the order of the file.
    wanted = min(suite.examples or _SUBSAMPLED, len(items))
    chosen = sorted(items, key=lambda item: question_key(item.prompt, "sample"))[:wanted]
    kept = {item.uid for item in chosen}
    return [item for item in items if item.uid in kept]


def samples_of(suite: SuiteBlock, task: SuiteTask) -> int:
    """Answers to each question of a task."""
    return task.samples if suite.samples == "published" else suite.samples
