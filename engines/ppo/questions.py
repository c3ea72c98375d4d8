"""The questions of a run: of each unit to train on, and of each task to validate with; never the same one in both."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.ppo.fields import DataBlock
from engines.recipe.errors import RecipeError
from engines.suite.catalog import PRESETS, suite_task
from engines.suite.item import Item, SuiteTask
from engines.suite.loading import check_disjoint, made_items, read_items, split_of


@dataclass(frozen=True)
class Questions:
    """What is asked."""

    train: dict[str, list[Item]]
    """By unit: domain or task."""
    val: dict[str, list[Item]]
    """By task."""
    shared: int
    """Validation questions that are also trained on, where that was allowed."""
    too_long: int
    """Training questions that were left out."""

    @property
    def units(self) -> list[str]:
        return list(self.train)

    def hash(self) -> str:
        """16 hex characters that identify all questions in their order."""
        asked = [*self.train.values(), *self.val.values()]
        text = "\n".join(" ".join(item.uid for item in items) for items in asked)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def ask(block: DataBlock, task_unit: str, fits: Callable[[Item], bool]) -> Questions:
    """The questions of a recipe. Raises RecipeError for unknown tasks, files that do not fit, and questions in both."""
    names = tasks_of(block.train)
    val_names = tasks_of(block.val) if block.val is not None else names
    _check_files("train_files", block.train_files, names)
    _check_files("val_files", block.val_files, val_names)
    train = {name: _training(block, suite_task(name)) for name in names}
    val = {name: _validation(block, suite_task(name)) for name in val_names}
    everything = [item for items in train.values() for item in items]
    shared = check_disjoint(
        everything, [item for items in val.values() for item in items], allow=block.allow_contamination
    )
    units: dict[str, list[Item]] = {}
    for name, items in train.items():
        unit = suite_task(name).domain if task_unit == "domain" else name
        units.setdefault(unit, []).extend(item for item in items if fits(item))
    empty = [unit for unit, items in units.items() if not items]
    if empty:
        raise RecipeError(
            f"rollout.max_prompt_length: no question of {', '.join(empty)} is as short",
            hint="raise `rollout.max_prompt_length`, or leave the task out",
        )
    if len(units) > block.train_batch_size:
        raise RecipeError(
            f"data.train_batch_size: {block.train_batch_size} questions a step for {len(units)} tasks",
            hint=f"set it to {len(units)} or more",
        )
    too_long = len(everything) - sum(map(len, units.values()))
    return Questions(
        units, {name: [item for item in items if fits(item)] for name, items in val.items()}, shared, too_long
    )


def tasks_of(named: str | Sequence[str]) -> list[str]:
    """Names of tasks, from a selection of the suite or a list; each once."""
    return list(dict.fromkeys(PRESETS[named] if isinstance(named, str) else named))


def _training(block: DataBlock, task: SuiteTask) -> list[Item]:
    path = _file(block.train_files, task.name)
    if path is None:
        return made_items(task, "train", block.train_items, block.items_seed, block.difficulty)
    items = read_items(task, path)
    return [item for item in items if not _held_out(block, task, item)]


def _validation(block: DataBlock, task: SuiteTask) -> list[Item]:
    path = _file(block.val_files, task.name)
    if path is not None:
        return read_items(task, path)[: block.val_items]
    path = _file(block.train_files, task.name)
    if path is None:
        return made_items(task, "dev", block.val_items, block.items_seed, block.difficulty)
    held_out = [item for item in read_items(task, path) if _held_out(block, task, item)]
    return held_out[: block.val_items]


def _held_out(block: DataBlock, task: SuiteTask, item: Item) -> bool:
    """Whether a question of a training file is for validation: a tenth, decided by its text, unless there is a file for it."""
    return _file(block.val_files, task.name) is None and split_of(item.prompt) == "dev"


def _file(files: Mapping[Any, str], task: str) -> str | None:
    return files.get(task)


def _check_files(field: str, files: Mapping[Any, str], names: Sequence[str]) -> None:
    unknown = sorted(set(files) - set(names))
    if unknown:
        raise RecipeError(
            f"data.{field}: {', '.join(unknown)} is not among the tasks ({', '.join(names)})",
            hint="add it to the tasks, or remove the file",
        )
