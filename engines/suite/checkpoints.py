"""The states that a training job kept, oldest first, as models that can be loaded."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engines.events import FILE_NAME, parse
from engines.recipe.errors import RecipeError

_WEIGHTS = ("adapter_config.json", "config.json")


@dataclass(frozen=True)
class Checkpoint:
    """One kept state. `epoch` is the unit that the training counts in: epochs, else optimizer steps."""

    name: str
    epoch: int
    path: Path


def checkpoints_of(trained: Path) -> list[Checkpoint]:
    """Every complete checkpoint below a run directory: `start` to `final` of mtl_ppo, `checkpoint-500` of the others.

    Raises RecipeError where none was kept.
    """
    found = sorted(_complete(trained / "checkpoints"), key=lambda checkpoint: checkpoint.epoch)
    if not found:
        raise RecipeError(
            f"checkpoints: the training job kept none in {trained / 'checkpoints'}",
            hint="train with `save_freq` (mtl_ppo) or `save_steps` below the number of steps",
        )
    return found


def _complete(folder: Path) -> Iterator[Checkpoint]:
    whole = [d for d in folder.glob("*") if (d / "manifest.json").is_file() and _loadable(d / "policy")]
    unit = "step" if any(d.name.startswith("step_") for d in whole) else "epoch"
    places: dict[int, Path] = {}
    for directory in sorted(whole):  # `final` comes after an epoch's own, and is the same policy
        if directory.name in ("start", "final") or directory.name.startswith(f"{unit}_"):
            state = json.loads((directory / "trainer_state.json").read_text(encoding="utf-8"))
            places.setdefault(int(state[unit]), directory)
    for number, directory in places.items():
        yield Checkpoint(directory.name, number, directory / "policy")
    for directory in folder.glob("checkpoint-*"):
        if (directory / "trainer_state.json").is_file() and _loadable(directory):
            yield Checkpoint(directory.name, int(directory.name.removeprefix("checkpoint-")), directory)


def _loadable(directory: Path) -> bool:
    return any((directory / name).is_file() for name in _WEIGHTS)


def training_rewards(trained: Path) -> dict[int, float]:
    """Mean training reward by epoch, from the training job's own events; empty where it logged none."""
    path = trained / FILE_NAME
    if not path.is_file():
        return {}
    sums: dict[int, list[float]] = {}
    with path.open("rb") as lines:
        for event in parse(list(lines)):
            values = event.get("values") if event else None
            if not isinstance(values, dict) or not {"train_reward_mean", "epoch"} <= values.keys():
                continue
            epoch, reward = values["epoch"], values["train_reward_mean"]
            if isinstance(epoch, int | float) and isinstance(reward, int | float):
                sums.setdefault(int(epoch), []).append(float(reward))
    return {epoch: sum(rewards) / len(rewards) for epoch, rewards in sums.items()}
