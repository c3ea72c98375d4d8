"""Models and attention kernels that cannot keep parts of a row apart, refused by name before anything is tried.

What is not listed here still has to pass the proof. The list exists because its reasons help more than a failed proof.
"""

from collections.abc import Sequence
from typing import Any

from engines.generation.context import context_length
from engines.jepa.layout import PackedRow
from engines.recipe.errors import RecipeError

_KERNELS = ("sdpa", "eager", "flex_attention")
_LAYERS = ("full_attention", "sliding_attention")


def check_masks_are_kept(config: Any) -> None:
    """Refuse where a mask would be dropped without a word; `config` is the model's."""
    config = config.get_text_config()
    kernel = config._attn_implementation
    if kernel not in _KERNELS:
        raise RecipeError(
            f"model.attn_implementation: `{kernel}` takes no mask of ours, so a step's copy would see what it is to be "
            "predicted from",
            hint=f"use one of {', '.join(_KERNELS)}",
        )
    others = sorted(set(getattr(config, "layer_types", None) or ()) - set(_LAYERS))
    if others:
        raise RecipeError(
            f"model: `{config.model_type}` has layers of type {', '.join(others)}, which carry a state along the row "
            "and ignore attention masks: a step's copy would see what it is to be predicted from",
            hint="use a model with attention in all layers, or `jepa.mode: regular` or `stp`, which need no mask",
        )
    if getattr(config, "is_encoder_decoder", False):
        raise RecipeError(f"model: `{config.model_type}` is no decoder-only model", hint="use a causal one")


def check_positions(rows: Sequence[PackedRow], config: Any) -> None:
    """Refuse predictors on positions that the model does not have."""
    context = context_length(config)
    longest = max(max(row.position_ids) for row in rows) + 1
    if context is not None and longest > context:
        raise RecipeError(
            f"jepa.predictors: predictors stand on position {longest}, and the model's context is {context}",
            hint="set fewer `jepa.predictors`, or a smaller `max_length` and `drop_long: true`",
        )
