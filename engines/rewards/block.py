"""The `reward:` block of a recipe."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from engines.recipe.blocks import Block

RewardName = Literal["verifiable", "legacy_unsloth_v1", "legacy_unsloth_v2", "legacy_seed001"]

_TIERS = ("match_format_exactly", "match_format_approximately", "check_answer", "check_numbers")
PARTS: dict[RewardName, tuple[str, ...]] = {
    "verifiable": ("verifiable",),
    "legacy_unsloth_v1": _TIERS,
    "legacy_unsloth_v2": _TIERS,
    "legacy_seed001": _TIERS[:-1],
}


class RewardBlock(Block):
    """What a completion earns."""

    name: RewardName = "verifiable"
    """`verifiable`: 1 for a right answer in the right format, else 0. `legacy_...`: the tiered rewards of older studies."""
    format_anneal: float = Field(0.0, ge=0, le=1)
    """`verifiable`: for this share of the training, a right answer in the wrong format still earns half."""
    min_reasoning_words: int = Field(1, ge=0)
    """Fewest words between the reasoning tags of a well-formed completion."""
    missing_end_penalty: float = Field(0.0, ge=0)
    """Taken off where the completion ran into the length limit; 0.1 is usual."""
    soft_punish_cache: int = Field(0, ge=0)
    """Tokens before `max_completion_length` over which a growing penalty, up to 1, is taken off; 0 is none (DAPO)."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts that the reward is the sum of, in the order of their weights."""
        extra = {"missing_end": self.missing_end_penalty, "overlong": self.soft_punish_cache}
        return (*PARTS[self.name], *(name for name, is_on in extra.items() if is_on))


def _reward_from_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


Reward = Annotated[RewardBlock, BeforeValidator(_reward_from_name)]
"""A reward block, or just its name."""
