"""Activations that any run can take again: one safetensors file a key, and beside it what the key says.

A hit never lies: the key names everything that the numbers depend on, the file's hash stands beside it, and what does
not match both is read again.
"""

import hashlib
import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from engines.recipe.errors import RecipeError
from engines.run import write_whole
from engines.steer.activations import Reading
from engines.steer.spec import Site

logger = logging.getLogger(__name__)

READING = 1
"""Raised with every change after which the same texts give other activations."""


@dataclass(frozen=True, eq=False)
class Activations:
    """Activations of the sides of a pair set."""

    values: torch.Tensor
    """(sides, layers, size), float32."""
    layers: tuple[int, ...]
    questions: tuple[str, ...]
    """Which question each side belongs to."""
    labels: tuple[bool, ...]
    """Whether each side is right."""
    norm_ref: tuple[float, ...]
    """Median norm at each layer of the activations that are to be steered."""


def activation_key(
    identity: Mapping[str, Any],
    model: Any,
    tokenizer: Any,
    readings: Sequence[Reading],
    *,
    rows: Sequence[str],
    data_hash: str,
    pairs: Mapping[str, Any],
    site: Site,
    layers: Sequence[int],
    read: str,
    padding: str = "left",
    calibration: Sequence[Reading] = (),
) -> dict[str, Any]:
    """Everything that activations depend on. `identity` is `weights_identity`'s: weights, adapter, configs, precision and
    tokenizer; `rows` names the sides in order; `pairs` is the scheme with its parameters and seed; `calibration` is what the
    norms are taken of."""
    quantised = getattr(model.config, "quantization_config", None)
    texts, norms = ([[one.ids, one.positions] for one in some] for some in (readings, calibration))
    return {
        **identity,
        "reading": READING,
        "attention": model.config._attn_implementation,
        "computed_in": str(next(model.parameters()).dtype),
        "device": model.device.type,
        "quantised": None if quantised is None else str(quantised),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "chat_template": _hash(tokenizer.chat_template),
        "data": data_hash,
        "rows": _hash(list(rows)),
        "texts": _hash(texts),
        "norms": _hash(norms),
        "pairs": dict(pairs),
        "site": site,
        "layers": list(layers),
        "read": read,
        "padding": padding,
    }


def path_of(directory: Path, key: Mapping[str, Any]) -> Path:
    return directory / f"{_hash(key)[:32]}.safetensors"


def save(directory: Path, key: Mapping[str, Any], found: Activations) -> Path:
    """Write the activations, then what tells that they are whole: killed in between, there is nothing to hit."""
    directory.mkdir(parents=True, exist_ok=True)
    path = path_of(directory, key)
    partial = path.with_suffix(".partial")
    save_file({"activations": found.values.to(torch.float32).contiguous()}, partial)
    sidecar = {
        "key": key,
        "sha256": _file_hash(partial),
        "shape": list(found.values.shape),
        "layers": found.layers,
        "questions": found.questions,
        "labels": found.labels,
        "norm_ref": found.norm_ref,
    }
    path.with_suffix(".json").unlink(missing_ok=True)
    partial.replace(path)
    write_whole(path.with_suffix(".json"), json.dumps(sidecar, indent=1) + "\n")
    return path


def load(directory: Path, key: Mapping[str, Any]) -> Activations | None:
    """What was saved under the key, or None: where nothing was, or where it is not what it says."""
    path = path_of(directory, key)
    try:
        sidecar = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if sidecar["key"] != json.loads(json.dumps(key)) or sidecar["sha256"] != _file_hash(path):
            logger.warning("%s is not what stands beside it: it is read again", path)
            return None
        values = load_file(path)["activations"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        logger.warning("%s is of no use: %s", path, error)
        return None
    names = ("layers", "questions", "labels", "norm_ref")
    found = Activations(values, *(tuple(sidecar.get(name, ())) for name in names))
    sides, layers = len(found.questions), len(found.layers)
    if values.shape[:2] != (sides, layers) or (len(found.labels), len(found.norm_ref)) != (sides, layers):
        logger.warning("%s has another shape than its rows: it is read again", path)
        return None
    return found


def verify(
    found: Activations, again: Callable[[list[int]], torch.Tensor], count: int = 8, seed: int = 0
) -> float:
    """Read `count` random sides again and give the largest relative difference. RecipeError where they are others.

    `again` gives (chosen, layers, size) for the places that it is given. Batches differ, so bits may."""
    chosen = sorted(
        random.Random(f"verify {seed}").sample(range(len(found.labels)), min(count, len(found.labels)))
    )
    fresh, stored = again(chosen), found.values[chosen]
    apart = float((fresh - stored).norm(dim=-1).div(stored.norm(dim=-1).clamp(min=1e-12)).max())
    if apart > 0.02:
        raise RecipeError(
            f"steering: stored activations differ by {apart:.1%} from what the model gives now",
            hint="delete the run's activation cache",
        )
    return apart


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
