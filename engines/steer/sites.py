"""Where to hook a model: its decoder blocks, the module that runs them, and the attention's output projection.

Found by shape, not by class, so that any causal model works, adapters included.
"""

from dataclasses import dataclass
from typing import Any

import torch

from engines.recipe.errors import RecipeError
from engines.steer.spec import Site

_OUTPUT_PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense", "wo")
"""What families call the projection of the heads' outputs: llama, gptj and opt, gpt2, falcon and neox, internlm."""


@dataclass(frozen=True, eq=False)
class Decoder:
    """The part of a model that is steered."""

    body: torch.nn.Module
    """The module that runs the blocks; it is called with the tokens, the mask and the cache."""
    blocks: torch.nn.ModuleList


def find_decoder(model: Any) -> Decoder:
    """The list of decoder blocks and its owner: the one list that is as long as the config says, nearest to the root."""
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    count = inner.config.get_text_config().num_hidden_layers
    found = [
        (name.count("."), name)
        for name, module in inner.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count
    ]
    if not found:
        raise RecipeError(
            f"steering: no list of {count} decoder blocks in a `{inner.config.model_type}` model",
            hint="steer a decoder-only model whose blocks are a list of modules",
        )
    _, name = min(found)
    owner, _, _ = name.rpartition(".")
    return Decoder(inner.get_submodule(owner), inner.get_submodule(name))


def hidden_size(model: Any) -> int:
    size: int = model.config.get_text_config().hidden_size
    return size


def module_at(decoder: Decoder, site: Site, layer: int) -> torch.nn.Module:
    """The module whose output (`block_out`) or input is the site."""
    if not 0 <= layer < len(decoder.blocks):
        raise RecipeError(
            f"steering: there is no layer {layer}: the model's blocks are 0 to {len(decoder.blocks) - 1}",
            hint=f"name layers from 0 to {len(decoder.blocks) - 1}",
        )
    block = decoder.blocks[layer]
    return _output_projection(block) if site == "o_proj_in" else block


def _output_projection(block: torch.nn.Module) -> torch.nn.Module:
    for parent, module in block.named_children():
        if "attn" in parent or "attention" in parent:
            for name, projection in module.named_modules():
                # Within the attention only: gpt2 calls a part of its MLP c_proj too.
                if name.rpartition(".")[2] in _OUTPUT_PROJECTIONS and "norm" not in parent:
                    return projection
    raise RecipeError(
        f"steering: no output projection of attention in a {type(block).__name__}",
        hint="use `site: block_out`, which every model has",
    )
