"""micro6: the suite's six micro tasks as questions with answers, for engines that show right answers.

It is how a model gets to answer them at times, before reinforcement learning goes on from there. Its training questions
are of the same split as theirs, so nothing that they are validated or tested with is shown here.
"""

import random
from collections.abc import Sequence

from engines.recipe.errors import RecipeError
from engines.suite.item import Item
from engines.suite.loading import made_items
from engines.suite.micro_tasks import MICRO_TASKS
from engines.tasks.example import Document, Example
from engines.tasks.splits import OfficialSplit

TRAIN, TEST = 64, 16
"""Questions of each task."""


def read(path: str | None, split: OfficialSplit) -> list[Example]:
    """The official split, always the same; tasks in turns, so that any number of examples has some of each."""
    if path is not None:
        raise RecipeError(
            f"task.path: micro6 is generated and reads no file, but the path is {path!r}",
            hint="leave `path` out",
        )
    by_task = [made_items(task, split, TRAIN if split == "train" else TEST) for task in MICRO_TASKS]
    items = [item for turn in zip(*by_task, strict=True) for item in turn]
    return [_example(split, number, item) for number, item in enumerate(items)]


def splits(path: str | None) -> set[OfficialSplit]:
    """Which official splits there are."""
    return {"train", "test"}


def _example(split: OfficialSplit, number: int, item: Item) -> Example:
    answer = str(item.answer)
    return Example(f"micro6-{split}-{number}", item.prompt, "", answer, completion=answer)


def plain_text(examples: Sequence[Example], count: int, seed: int) -> list[Document]:
    """`count` questions without their answers."""
    draw = random.Random(f"micro6 {seed}")
    return [draw.choice(examples).question for _ in range(count)]
