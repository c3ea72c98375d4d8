"""Prompts that cannot be completed are refused before any is."""

from collections.abc import Sequence
from typing import Any

from engines.recipe.errors import RecipeError


def check_context(
    prompts: Sequence[Sequence[int]], config: Any, max_new_tokens: int, field: str = "max_new_tokens"
) -> None:
    """Every prompt (token ids) has a token to continue, and fits into the model's context with its completion.

    `field` is what the recipe calls the limit.
    """
    if not all(prompts):
        raise ValueError("a prompt is empty: there is nothing to continue")
    limit = context_length(config)
    longest = max(map(len, prompts), default=0)
    if limit is not None and longest + max_new_tokens > limit:
        raise RecipeError(
            f"{field}: {max_new_tokens} after a prompt of {longest} tokens "
            f"exceeds the model's context of {limit} tokens",
            hint=f"use `{field}` of at most {limit - longest}"
            if longest < limit
            else "leave such prompts out, or use a model with a longer context",
        )


def context_length(config: Any) -> int | None:
    """Tokens that the model was made for; None where its config does not say."""
    return getattr(config.get_text_config(), "max_position_embeddings", None)
