"""From rewards to advantages: pure functions of tensors (rows, tokens) with a mask of the tokens that count.

Generalized advantage estimation (Schulman et al. 2016, arXiv 1506.02438, eq. 16) in the form that steps over holes in the
mask; group-relative and leave-one-out advantages for runs without a critic.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_SPREAD = 1e-6
"""A task whose advantages differ by less says nothing about which tokens were good."""


def token_rewards(rewards: Tensor, mask: Tensor) -> Tensor:
    """Each row's reward (rows,) on its last token that counts; rows without any earn nothing. (rows, tokens)"""
    found = torch.zeros_like(mask)
    rows = mask.any(dim=1).nonzero().squeeze(1)
    last = mask.shape[1] - 1 - mask.flip(1).to(torch.uint8).argmax(dim=1)
    found[rows, last[rows]] = rewards[rows]
    return found


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Advantages and returns (rows, tokens). A token that does not count passes on what comes after it, unchanged."""
    advantages = torch.zeros_like(rewards)
    next_value = torch.zeros_like(rewards[:, 0])
    next_advantage = torch.zeros_like(rewards[:, 0])
    for token in reversed(range(rewards.shape[1])):
        counts = mask[:, token] > 0
        delta = rewards[:, token] + gamma * next_value - values[:, token]
        advantage = delta + gamma * lam * next_advantage
        advantages[:, token] = torch.where(counts, advantage, 0.0)
        next_value = torch.where(counts, values[:, token], next_value)
        next_advantage = torch.where(counts, advantage, next_advantage)
    return advantages, (advantages + values) * mask


def group_relative(rewards: Tensor, groups: Tensor, *, leave_one_out: bool = False) -> Tensor:
    """One advantage a row (rows,): its reward against those of the same prompt (`groups`, rows).

    GRPO's is standardized (arXiv 2402.03300); with `leave_one_out` it is the distance from the mean of the others (RLOO,
    arXiv 2402.14740), and 0 for a prompt with one completion.
    """
    found = torch.zeros_like(rewards)
    for group in groups.unique():
        rows = groups == group
        own = rewards[rows]
        if leave_one_out:
            found[rows] = (own - own.mean()) * len(own) / max(len(own) - 1, 1)
        else:
            found[rows] = (own - own.mean()) / (own.std(correction=0) + _SPREAD)
    return found


def whiten(advantages: Tensor, mask: Tensor, units: Sequence[int]) -> tuple[Tensor, set[int]]:
    """Advantages with mean 0 and deviation 1 over each unit's tokens, and the units that have none to speak of.

    `units` numbers each row's task. Those of a unit with one token, or with equal advantages, become 0: it has no signal, and
    must neither give a NaN nor blow rounding errors up.
    """
    found = torch.zeros_like(advantages)
    degenerate = set()
    numbers = torch.tensor(list(units), device=advantages.device)
    for unit in sorted(set(units)):
        counted = (mask > 0) & (numbers == unit).unsqueeze(1)
        own = advantages[counted]
        spread = own.std(correction=0) if len(own) > 1 else torch.zeros(())
        if float(spread) < _SPREAD:
            degenerate.add(unit)
        else:
            found[counted] = (own - own.mean()) / (spread + 1e-8)
    return found, degenerate


def same_reward_groups(rewards: Tensor, groups: Tensor) -> Tensor:
    """For each row (rows,) whether all completions of its prompt earned the same."""
    found = torch.zeros_like(rewards, dtype=torch.bool)
    for group in groups.unique():
        rows = groups == group
        found[rows] = bool(rewards[rows].max() - rewards[rows].min() <= _SPREAD)
    return found


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 where the critic knew the returns, 0 where it knew no more than their mean, below where it knew less; NaN without spread."""
    counted = mask > 0
    target = returns[counted]
    spread = target.var(correction=0) if len(target) > 1 else torch.zeros(())
    if float(spread) < _SPREAD**2:
        return float("nan")
    return float(1 - (target - values[counted]).var(correction=0) / spread)
