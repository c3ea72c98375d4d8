"""How the gradients of several tasks become one: each method gives the weights of the rows from their Gramian.

All are scaled as means, so that they are the equally weighted mean, bit for bit, where there is nothing to change.
PCGrad: Yu et al. 2020 (arXiv 2001.06782), algorithm 1. Gradient Vaccine: Wang et al. 2021 (arXiv 2010.05874).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from engines.surgery import torchjd_methods

Method = Literal[
    "pooled", "equal", "pcgrad", "pcgrad_placebo", "gradvac", "normalized",
    "mgda", "aligned_mtl", "upgrad", "cagrad", "nashmtl",
]  # fmt: skip

_NOTHING = 1e-30
"""Squared norm of a gradient that is zero but for rounding; nothing is projected on it."""

_PARALLEL = 1 - 1e-9
"""Cosine of gradients that are the same but for their length."""


@dataclass
class Situation:
    """What a method may look at beside the Gramian."""

    generator: torch.Generator
    """For orders: seeded by where in the run it is, so that all processes and a resumed run draw the same."""
    shares: Tensor
    """Of each task in the mini-batch (tasks,), as the loss's mean counts them; they sum to 1."""
    tasks: tuple[int, ...]
    """Numbers of the rows' tasks in the run: a mini-batch need not hold all."""
    targets: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.float64))
    """Gradient Vaccine's running cosines (all tasks, all tasks), which it changes."""
    beta: float = 0.5
    """How fast they follow."""


@dataclass(frozen=True)
class Decision:
    """What a method decided."""

    weights: Tensor
    """Of the rows (tasks,)."""
    coefficients: Tensor | None = None
    """Row i: what the changed gradient of task i is made of (tasks, tasks), where a method changes them one by one."""


def decide(method: Method, gramian: Tensor, situation: Situation) -> Decision:
    """The weights for a Gramian (tasks, tasks). Raises RecipeError where a method's packages are not installed."""
    return _METHODS[method](gramian, situation)


def _mean(coefficients: Tensor) -> Decision:
    return Decision(coefficients.sum(dim=0) / len(coefficients), coefficients)


def _pooled(gramian: Tensor, situation: Situation) -> Decision:
    return Decision(situation.shares.to(gramian))


def _equal(gramian: Tensor, situation: Situation) -> Decision:
    return _mean(torch.eye(len(gramian), dtype=gramian.dtype))


def _normalized(gramian: Tensor, situation: Situation) -> Decision:
    """Every task's gradient at the mean length of all; zero gradients stay zero."""
    norms = gramian.diagonal().clamp(min=0).sqrt()
    alive = norms**2 > _NOTHING
    if not alive.any():
        return _equal(gramian, situation)
    scale = torch.where(alive, norms[alive].mean() / norms.clamp(min=_NOTHING**0.5), 0.0)
    return Decision(scale / len(gramian))


def _pcgrad(gramian: Tensor, situation: Situation) -> Decision:
    """Project each task's gradient off those that it conflicts with, one after the other in a random order."""
    count = len(gramian)
    coefficients = torch.eye(count, dtype=gramian.dtype)
    for row in range(count):
        own = coefficients[row]
        for other in torch.randperm(count, generator=situation.generator).tolist():
            product = gramian[other] @ own
            if other != row and product < 0 and gramian[other, other] > _NOTHING:
                own[other] -= product / gramian[other, other]
    return _mean(coefficients)


def _gradvac(gramian: Tensor, situation: Situation) -> Decision:
    """Pull each task's gradient towards another's until their cosine is what it has been on average, where it is lower."""
    count = len(gramian)
    coefficients = torch.eye(count, dtype=gramian.dtype)
    norms = gramian.diagonal().clamp(min=0).sqrt()
    for row in range(count):
        own = coefficients[row]
        for other in torch.randperm(count, generator=situation.generator).tolist():
            length = (own @ gramian @ own).clamp(min=0).sqrt()
            if other == row or norms[other] ** 2 <= _NOTHING or length**2 <= _NOTHING:
                continue
            place = situation.tasks[row], situation.tasks[other]
            target = situation.targets[place].clone()
            cosine = (gramian[other] @ own / (length * norms[other])).clamp(-1, 1)
            # A target of 1 is only reached by adding infinitely much of the other.
            if cosine < target < _PARALLEL:
                sine, wanted = (1 - cosine**2).sqrt(), (1 - target**2).sqrt()
                own[other] += length * (target * sine - cosine * wanted) / (norms[other] * wanted)
            situation.targets[place] = (1 - situation.beta) * target + situation.beta * cosine
    return _mean(coefficients)


def _from_torchjd(name: str) -> Callable[[Tensor, Situation], Decision]:
    return lambda gramian, situation: Decision(torchjd_methods.weigh(name, gramian))


_METHODS: dict[Method, Callable[[Tensor, Situation], Decision]] = {
    "pooled": _pooled,
    "equal": _equal,
    "pcgrad": _pcgrad,
    "pcgrad_placebo": _pcgrad,  # what differs is the rows: those of a random partition
    "gradvac": _gradvac,
    "normalized": _normalized,
    "mgda": _from_torchjd("mgda"),
    "aligned_mtl": _from_torchjd("aligned_mtl"),
    "upgrad": _from_torchjd("upgrad"),
    "cagrad": _from_torchjd("cagrad"),
    "nashmtl": _from_torchjd("nashmtl"),
}
