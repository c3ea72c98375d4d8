"""Items of a suite task: made here, or read from the hub or a local file; never the same question twice.

Made items go into the split that the hash of their prompt decides, so the splits are disjoint on every machine, for any
number of items and any seed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from engines.recipe.blocks import Split
from engines.recipe.errors import RecipeError
from engines.suite.guru_rows import guru_item, is_guru_row, readable_tasks
from engines.suite.item import Item, SuiteTask
from engines.tasks.row_files import hub_rows, rows_of
from engines.tasks.splits import question_key

_DRAWS_PER_ITEM = 200
"""So many draws without a new item of the split, and the task has no more of them."""


def split_of(prompt: str) -> Split:
    """The split that a made item belongs to: seven of ten for training, one for development, two for tests."""
    tenth = int(question_key(prompt)[:8], 16) % 10
    return "train" if tenth < 7 else "dev" if tenth < 8 else "test"


def made_items(
    task: SuiteTask, split: Split, count: int, seed: int = 0, difficulty: int | None = None
) -> list[Item]:
    """`count` different made items of a split; `difficulty` None mixes 0 to 5. Raises RecipeError where there are fewer."""
    if difficulty is not None and not task.levels:
        raise RecipeError(
            f"{task.name} has no levels of difficulty, but {difficulty} is asked for",
            hint="leave `difficulty` out",
        )
    found: list[Item] = []
    seen: set[str] = set()
    misses = 0
    for number in _numbers(seed):
        item = task.generate(number, number % 6 if difficulty is None else difficulty)
        key = question_key(item.prompt)
        if key not in seen and split_of(item.prompt) == split:
            seen.add(key)
            found.append(item)
            misses = 0
        else:
            misses += 1
        if len(found) == count:
            return found
        if misses >= _DRAWS_PER_ITEM * 10:
            break
    raise RecipeError(
        f"{task.name}: {count} questions of `{split}` asked for, but only {len(found)} different ones can be made",
        hint=f"ask for at most {len(found)}",
    )


def read_items(task: SuiteTask, path: str | None) -> list[Item]:
    """The public dataset's items, from a local copy in its own format or from the hub, repetitions left out."""
    if path is None and not task.hub:
        raise RecipeError(f"{task.name} has no public dataset", hint="use `source: made`")
    if path is None:
        rows = hub_rows(task.hub, task.hub_config, task.hub_split, "suite.paths")
    else:
        rows = rows_of(Path(path).expanduser())
    items = [parsed(task, where, row) for where, row in rows]
    if not items:
        raise RecipeError(f"{task.name}: {path or task.hub} holds no rows", hint="check the file")
    return list({item.uid: item for item in items}.values())


def parsed(task: SuiteTask, where: str, row: object) -> Item:
    """The item of one row; what is wrong with it is told with its place."""
    if not isinstance(row, Mapping):
        raise RecipeError(f"{where}: not an object", hint=f"rows as in {task.hub}")
    try:
        if is_guru_row(row):
            if task.name not in readable_tasks():
                raise ValueError(f"{task.name} cannot be read from rows of verl's form")
            return guru_item(task.name, row)
        return task.parse(row)
    except KeyError as error:
        found = ", ".join(map(repr, row))
        raise RecipeError(
            f"{where}: no column {error} (found: {found})", hint=f"{task.name} reads rows as in {task.hub}"
        ) from error
    except (ValueError, TypeError) as error:
        raise RecipeError(f"{where}: {error}", hint=f"{task.name} reads rows as in {task.hub}") from error


def check_disjoint(trained: Iterable[Item], evaluated: Sequence[Item], *, allow: bool = False) -> int:
    """How many evaluated questions are also trained on. Raises RecipeError where there is one and it is not allowed."""
    keys = {question_key(item.prompt) for item in trained}
    shared = [item for item in evaluated if question_key(item.prompt) in keys]
    if shared and not allow:
        tasks = ", ".join(sorted({item.task for item in shared}))
        raise RecipeError(
            f"{len(shared)} of {len(evaluated)} evaluated questions are also trained on ({tasks})",
            hint="take them out of the training files, or set `allow_contamination: true` and say so in what you publish",
        )
    return len(shared)


def _numbers(seed: int) -> Iterator[int]:
    number = seed * 1_000_003
    while True:
        yield number
        number += 1
