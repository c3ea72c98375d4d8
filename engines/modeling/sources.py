"""Where a model comes from: `pocket`, a directory, a Hugging Face id or another job; and its lineage."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engines.recipe.blocks import ModelBlock
from engines.recipe.errors import RecipeError
from engines.run import Run

POCKET = Path(__file__).parent / "pocket"
"""The model that ships with Tunedeck."""

LINEAGE_FILE = "lineage.json"
MERGED_DIR = "base"
"""Below the model directory: the merged weights that a fresh adapter was trained on."""

Mode = Literal["base", "continue", "merge", "full"]


@dataclass(frozen=True)
class Source:
    """What to load: full weights, and the adapter on top of them where there is one."""

    name: str
    """As people and `lineage.json` call the full weights."""
    weights: str
    """What `from_pretrained` takes for the full weights: a directory or a Hugging Face id."""
    adapter: Path | None = None
    revision: str | None = None

    @property
    def tokenizer(self) -> str:
        return str(self.adapter or self.weights)

    @property
    def directory(self) -> Path | None:
        """Where the full weights lie, unless they are the hub's."""
        path = Path(self.weights)
        return path if path.is_dir() else None


def resolve(block: ModelBlock, run: Run) -> Source:
    """Find the model that a recipe names."""
    if block.from_ is not None:
        return _from_directory(_output_of(block.from_, run))
    base = str(block.base)
    directory = POCKET if base == "pocket" else Path(base).expanduser().absolute()
    if directory.is_dir():
        return _from_directory(directory)
    if base == "pocket" or base.startswith((".", "/", "~")) or base.count("/") > 1:
        raise RecipeError(
            f"model.base: there is no directory `{directory}`",
            hint="`base` is `pocket`, a Hugging Face id such as `Qwen/Qwen2.5-1.5B`, or a local model directory",
        )
    return Source(name=base, weights=base, revision=block.revision)


def _output_of(job: str, run: Run) -> Path:
    if job not in run.inputs:
        raise RecipeError(
            f"model.from: `{job}` is not an input of this job (it has: {', '.join(sorted(run.inputs)) or 'none'})",
            hint="name a job of the same recipe that trains a model",
        )
    directory = run.inputs[job] / "model"
    if not directory.is_dir():
        pruned = (directory.parent / "pruned.json").exists()
        raise RecipeError(
            f"model.from: job `{job}` left no model in {directory}"
            + (", or it was pruned" if pruned else ""),
            hint="submit the recipe again: that job has to run once more"
            if pruned
            else "retry that job, or remove `from` and name a `base`",
        )
    return directory


def _from_directory(directory: Path) -> Source:
    if not (directory / "adapter_config.json").is_file():
        return Source(name="pocket" if directory == POCKET else str(directory), weights=str(directory))
    recorded = _base_of_adapter(directory)
    below = [entry for entry in read_lineage(directory) if entry["mode"] == "base"]
    name = below[-1]["parent"] if below else recorded.get("base_model_name_or_path")
    if name is None:
        raise RecipeError(
            f"model: the adapter in {directory} does not say which model it belongs to",
            hint="name that model as `base_model_name_or_path` in its adapter_config.json",
        )
    revision = below[-1].get("revision") if below else recorded.get("revision")
    places = [directory / name, Path(recorded.get("base_model_name_or_path") or name)]
    return Source(name=name, weights=_weights_below(name, places), adapter=directory, revision=revision)


def _base_of_adapter(directory: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((directory / "adapter_config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecipeError(
            f"model: {directory / 'adapter_config.json'} is not JSON: {error}",
            hint="train that adapter again",
        ) from error
    return config


def _weights_below(name: str, places: list[Path]) -> str:
    """The weights that an adapter was trained on: by their place relative to it, else where they were then."""
    if name == "pocket":
        return str(POCKET)
    found = [place for place in places if place.is_absolute() and (place / "config.json").is_file()]
    return str(found[0] if found else name)


def read_lineage(directory: str | Path) -> list[dict[str, Any]]:
    """What a model was made from, oldest first; empty for models from elsewhere."""
    path = Path(directory) / LINEAGE_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def entry(source: Source, mode: Mode) -> dict[str, Any]:
    """One line of a lineage: the weights that were started from, and how."""
    parent = str(source.adapter) if source.adapter and mode != "base" else source.name
    directory = source.adapter if source.adapter and mode != "base" else Path(source.weights)
    line: dict[str, Any] = {"parent": parent, "sha256": weights_hash(directory), "mode": mode}
    return line if source.revision is None else {**line, "revision": source.revision}


def moved(history: list[dict[str, Any]], old: Path, new: Path) -> list[dict[str, Any]]:
    """The history for another model directory: weights are named by their place relative to it."""
    return [
        {**line, "parent": os.path.relpath(old / line["parent"], new)}
        if (old / line["parent"] / "config.json").is_file() and not Path(line["parent"]).is_absolute()
        else line
        for line in history
    ]


def weights_hash(directory: Path) -> str | None:
    """One hash over the weight files of a directory; None for a Hugging Face id, which its revision identifies."""
    files = sorted(directory.glob("*.safetensors")) or sorted(directory.glob("*.bin"))
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
