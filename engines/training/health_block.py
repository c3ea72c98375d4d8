"""The `health:` block of a recipe."""

from typing import Literal

from pydantic import Field

from engines.recipe.blocks import Block

HealthCheck = Literal[
    "frac_reward_zero_std",
    "clipped_ratio",
    "no_end",
    "no_gradient",
    "min_entropy",
    "max_kl",
    "sampling_logp_difference",
    "length_growth",
]


class HealthBlock(Block):
    """When a GRPO run that learns nothing is ended, before it has cost the whole budget. Null switches a check off."""

    logs: int = Field(10, ge=1)
    """A figure must be bad in so many consecutive logs."""
    warn_only: list[HealthCheck] = ["length_growth", "min_entropy"]
    """Checks that say so and let the run go on; the others end it."""
    frac_reward_zero_std: float | None = Field(0.95, ge=0, le=1)
    """Share of dead groups, in which all completions earn the same."""
    clipped_ratio: float | None = Field(0.5, ge=0, le=1)
    """Share of completions that run into the length limit."""
    no_end: bool | None = True
    """No completion ends by itself."""
    no_gradient: bool | None = True
    """The gradient is exactly zero."""
    min_entropy: float | None = Field(0.02, ge=0)
    """Entropy in nats a token, below which there is nothing left to explore."""
    max_kl: float | None = Field(None, gt=0)
    """KL divergence from the starting model (needs `beta` above 0)."""
    sampling_logp_difference: float | None = Field(0.1, gt=0)
    """Mean difference of the log-probabilities between what samples and what is trained."""
    length_growth: float | None = Field(2.0, gt=1)
    """Completions are so many times as long as at the start, while the reward is no higher."""
