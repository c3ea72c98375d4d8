"""The losses of PPO, token by token, and how tokens become one number.

Every mean divides by what the whole mini-batch holds of the task, never by what one forward pass happens to: otherwise
the gradient would change with the micro-batch size.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Kl = Literal["k1", "k2", "k3", "k3+"]
Aggregation = Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"]

_FARTHEST = 20.0
"""Differences of log-probabilities beyond this are cut: their exponential is no number to train on."""


@dataclass(frozen=True)
class Total:
    """What a mini-batch holds of a task, on all processes together."""

    tokens: float
    sequences: float
    length: int
    """Tokens that a completion may have at most."""


def total_of(mask: Tensor, length: int) -> Total:
    """Of the rows of a task (rows, tokens). Rows without a token that counts are no sequence."""
    return Total(float(mask.sum()), float(mask.any(dim=1).sum()), length)


def aggregate(losses: Tensor, mask: Tensor, mode: Aggregation, total: Total) -> Tensor:
    """This micro-batch's part of the loss of a task: the parts of all micro-batches add up to it."""
    if mode == "token-mean":
        return (losses * mask).sum() / max(total.tokens, 1.0)
    rows = (losses * mask).sum(dim=1)
    if mode == "seq-mean-token-mean":
        rows = rows / mask.sum(dim=1).clamp(min=1.0)
    elif mode == "seq-mean-token-sum-norm":
        rows = rows / total.length
    return rows.sum() / max(total.sequences, 1.0)


def policy_loss(
    logp: Tensor, old_logp: Tensor, advantages: Tensor, low: float, high: float, dual: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Dual-clip PPO: the loss of each token, where the ratio was clipped, and where a bad token's loss was.

    Clipping as in arXiv 1707.06347, eq. 7; for a negative advantage the loss is at most `dual` times its size
    (arXiv 1912.09729, eq. 5). All tensors are (rows, tokens).
    """
    ratio = (logp - old_logp).clamp(-_FARTHEST, _FARTHEST).exp()
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - low, 1 + high)
    loss = torch.maximum(plain, clipped)
    most = -advantages * dual
    bad = advantages < 0
    return torch.where(bad, torch.minimum(loss, most), loss), clipped > plain, bad & (loss > most)


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Half the squared error of each token, of the worse of the value and the value kept near the old one; where that was it."""
    near = old_values + (values - old_values).clamp(-clip, clip)
    free, kept = (values - returns) ** 2, (near - returns) ** 2
    return 0.5 * torch.maximum(free, kept), kept > free


def kl_estimate(logp: Tensor, reference: Tensor, kind: Kl) -> Tensor:
    """Schulman's estimators of the divergence from the reference, a token drawn from the policy at a time.

    k1 is unbiased and may be negative; k2 is its half square; k3 is unbiased and never negative. As a loss, k3's gradient is
    that of another divergence: `k3+` has the value of k3 and the gradient of k2, which is the right one.
    """
    difference = (logp - reference).clamp(-_FARTHEST, _FARTHEST)
    if kind == "k1":
        return difference
    square = 0.5 * difference**2
    if kind == "k2":
        return square
    positive = ((-difference).exp() + difference - 1).clamp(-10.0, 10.0)
    return positive if kind == "k3" else positive.detach() + square - square.detach()


def token_logps(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability of each token (rows, tokens) under logits (rows, tokens, vocabulary)."""
    chosen = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return chosen - logits.logsumexp(dim=-1)


def entropies(logits: Tensor) -> Tensor:
    """Nats of each distribution (rows, tokens) of logits (rows, tokens, vocabulary)."""
    return logits.logsumexp(dim=-1) - (logits.softmax(dim=-1) * logits).sum(dim=-1)


@dataclass
class KlController:
    """How strongly a penalty pulls back to the reference: fixed, or towards a target divergence (arXiv 1909.08593, §2.2)."""

    coefficient: float
    target: float | None = None
    horizon: int = 10_000

    def update(self, divergence: float, samples: int) -> None:
        """After `samples` completions with this mean divergence."""
        if self.target is not None:
            error = min(max(divergence / self.target - 1, -0.2), 0.2)
            self.coefficient *= 1 + error * samples / self.horizon
