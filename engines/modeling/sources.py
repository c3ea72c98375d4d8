"""Where a model comes from: `pocket`, a directory, a Hugging Face id or another job; and its lineage."""

import hashlib
import json
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


def resolve(block: ModelBlock, run: Run) -> Source:
    """Find the model that a recipe names."""
    if block.from_ is not None:
        return _from_directory(_output_of(block.from_, run))
    base = str(block.base)
    directory = POCKET if base == "pocket" else Path(base).expanduser()
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
        raise RecipeError(
            f"model.from: job `{job}` left no model in {directory}",
            hint="retry that job, or remove `from` and name a `base`",
        )
    return directory


def _from_directory(directory: Path) -> Source:
    if not (directory / "adapter_config.json").is_file():
        return Source(name="pocket" if directory == POCKET else str(directory), weights=str(directory))
    below = [entry for entry in read_lineage(directory) if entry["mode"] == "base"]
    if not below:
        config = json.loads((directory / "adapter_config.json").read_text(encoding="utf-8"))
        below = [{"parent": config["base_model_name_or_path"], "revision": config.get("revision")}]
    name = below[-1]["parent"]
    weights = str(POCKET) if name == "pocket" else name
    # Merged weights travel inside the model directory, so they are found from there wherever it has moved.
    if (directory / name / "config.json").is_file():
        weights = str(directory / name)
    return Source(name=name, weights=weights, adapter=directory, revision=below[-1].get("revision"))


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
