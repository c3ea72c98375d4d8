"""The examples of a task, by split. The one door to data for every engine: training never sees `test` here."""

import hashlib
from collections.abc import Callable, Iterable, Sequence

from engines.recipe.blocks import Split, TaskBlock, TaskName
from engines.recipe.errors import RecipeError
from engines.tasks import gsm8k, micro6, pocket_math, pocket_text
from engines.tasks.example import Document, Example
from engines.tasks.splits import OfficialSplit, carve_dev, distinct, permuted, question_key

Reader = Callable[[str | None, OfficialSplit], list[Example]]

READERS: dict[TaskName, Reader] = {
    "gsm8k": gsm8k.read,
    "pocket-math": pocket_math.read,
    "micro6": micro6.read,
}
SPLITS: dict[TaskName, Callable[[str | None], set[OfficialSplit]]] = {
    "gsm8k": gsm8k.splits,
    "pocket-math": pocket_math.splits,
    "micro6": micro6.splits,
}

PLAIN_TEXT: dict[TaskName, Callable[[Sequence[Example], int, int], list[Document]]] = {
    "gsm8k": gsm8k.plain_text,
    "pocket-math": pocket_text.plain_text,
    "micro6": micro6.plain_text,
}


def load_examples(task: TaskBlock, split: Split) -> list[Example]:
    """All examples of a split: `test` is the official one, `dev` and `train` are parts of the official training split."""
    read = READERS[task.name]
    if split == "test":
        questions = read(task.path, "test")
        if not questions:
            raise RecipeError(
                f"task: the test split of {task.name} is empty", hint="check the file that `task.path` names"
            )
        return questions
    # A question that is also in the test split is no training material, whoever put it there.
    held_out = read(task.path, "test") if "test" in SPLITS[task.name](task.path) else []
    pool = distinct(read(task.path, "train"), (question_key(example.question) for example in held_out))
    if task.dev_examples >= len(pool):
        raise RecipeError(
            f"task.dev_examples: {task.dev_examples} leaves nothing to train on, as {task.name} has {len(pool)} "
            "different training questions",
            hint=f"set it below {len(pool)}",
        )
    train, dev = carve_dev(pool, task.dev_examples)
    return dev if split == "dev" else train


def test_examples(task: TaskBlock) -> list[Example]:
    """The test split, for checking that nothing of it is trained on; empty where the task's files have none."""
    return load_examples(task, "test") if "test" in SPLITS[task.name](task.path) else []


def training_examples(task: TaskBlock, count: int | None, seed: int) -> list[Example]:
    """`count` training examples (None: all), nested: for the same seed a smaller count is a prefix of a larger one."""
    pool = load_examples(task, "train")
    if count is not None and not 1 <= count <= len(pool):
        raise RecipeError(
            f"{count} training examples asked for, but {task.name} has 1 to {len(pool)} of them "
            f"beside the {task.dev_examples} of the development set",
            hint=f"ask for at most {len(pool)}",
        )
    return permuted(pool, seed)[:count]


def plain_text(task: TaskBlock, count: int, seed: int) -> list[Document]:
    """`count` documents for pre-training, made from the training split: its language, without the answer format."""
    return PLAIN_TEXT[task.name](load_examples(task, "train"), count, seed)


def data_hash(examples: Iterable[Example]) -> str:
    """16 hex characters that identify these examples in this order."""
    digest = hashlib.sha256()
    for example in examples:
        fields = (example.id, example.question, example.reasoning, example.answer, example.completion)
        for text in (text for text in fields if text is not None):
            digest.update(f"{len(text)} {text}".encode())
    return digest.hexdigest()[:16]
