"""A continued adapter keeps its shape: a recipe that names another one would be ignored, so it is refused."""

import json
import re
from pathlib import Path
from typing import Any

import torch

from engines.recipe.blocks import LoraBlock
from engines.recipe.errors import RecipeError

_HINT = "repeat that adapter's `lora` block, or use `chain: merge` to start a new adapter"
_IN_ADAPTED_LAYER = re.compile(r"\.(base_layer|lora_\w+)(\.|$)")


def check_same_shape(lora: LoraBlock, adapter: Path) -> None:
    """Rank, scale and the like, and the layers where the recipe lists them; read before the model is loaded."""
    saved = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    wanted = lora.model_dump(exclude={"target_modules"})
    if isinstance(lora.target_modules, list):
        wanted["target_modules"] = sorted(lora.target_modules)
        saved["target_modules"] = sorted(saved["target_modules"])
    different = [
        f"{key}: {value} (adapter: {saved[key]})" for key, value in wanted.items() if saved[key] != value
    ]
    if different:
        raise RecipeError(
            f"lora: {', '.join(different)}: differs from the adapter in {adapter} that training continues",
            hint=_HINT,
        )


def check_all_linear(model: Any, adapter: Path) -> None:
    """Every linear layer but the output layer, where the recipe says `all-linear`."""
    output = model.get_output_embeddings()
    bare = [
        name
        for name, module in model.get_base_model().named_modules()
        if isinstance(module, torch.nn.Linear) and module is not output and not _IN_ADAPTED_LAYER.search(name)
    ]
    if bare:
        raise RecipeError(
            f"lora.target_modules: `all-linear` differs from the adapter in {adapter} that training continues, which "
            f"leaves out {len(bare)} linear layers ({bare[0]} first)",
            hint=_HINT,
        )
