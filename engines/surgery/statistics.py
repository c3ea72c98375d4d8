"""What the gradients of several tasks say about each other, and what a method made of them.

A raw share of conflicts says little: gradients of noise conflict half of the time. Beside each cosine therefore stands
how well a task agrees with itself: the cosine of the gradients of two halves of its own batch. Between tasks, cosines are
corrected for that (Spearman's correction for attenuation), where both reliabilities are large enough to divide by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

RELIABLE = 0.05
"""Below this split-half cosine, a gradient is too much noise for its directions to be corrected."""


@dataclass(frozen=True)
class Part:
    """One group of columns: its Gramian, and what was decided for it."""

    gramian: Tensor
    weights: Tensor
    coefficients: Tensor | None


def cosines(gramian: Tensor) -> Tensor:
    """Cosine of every pair (tasks, tasks); NaN with a gradient that is zero."""
    norms = gramian.diagonal().clamp(min=0).sqrt()
    return gramian / (norms[:, None] * norms[None, :])


def conflict(gramian: Tensor) -> dict[str, float]:
    """The share of pairs that conflict, and how much of all pairs' size their conflicts are."""
    upper = torch.triu_indices(len(gramian), len(gramian), offset=1)
    products = gramian[upper[0], upper[1]]
    if not len(products):
        return {"conflict_rate": 0.0, "conflict_mass": 0.0}
    norms = gramian.diagonal().clamp(min=0).sqrt()
    sizes = float((norms[upper[0]] * norms[upper[1]]).sum())
    mass = float((-products).clamp(min=0).sum()) / sizes if sizes else 0.0
    return {"conflict_rate": float((products < 0).double().mean()), "conflict_mass": mass}


def effect(parts: Sequence[Part]) -> dict[str, Any]:
    """What a method changed: `cos_to_mean` of the update with the plain mean, `still_hurts` tasks whose own loss it raises,
    and for each task the share of its gradient that was removed (`removed`, where the method changes them one by one)."""
    count = len(parts[0].weights)
    mean = torch.full((count,), 1 / count, dtype=torch.float64)
    with_mean = sum(float(part.weights @ part.gramian @ mean) for part in parts)
    own = sum(float(part.weights @ part.gramian @ part.weights) for part in parts)
    of_mean = sum(float(mean @ part.gramian @ mean) for part in parts)
    products = torch.stack([part.gramian @ part.weights for part in parts]).sum(dim=0)
    size = (max(own, 0) * max(of_mean, 0)) ** 0.5
    found: dict[str, Any] = {
        "cos_to_mean": with_mean / size if size else float("nan"),
        "still_hurts": int((products < 0).sum()),
    }
    if all(part.coefficients is not None for part in parts):
        found["removed"] = _removed(parts)
    return found


def _removed(parts: Sequence[Part]) -> list[float]:
    count = len(parts[0].weights)
    lost, whole = torch.zeros(count, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
    for part in parts:
        assert part.coefficients is not None
        change = torch.eye(count, dtype=torch.float64) - part.coefficients
        lost += torch.einsum("ti,ij,tj->t", change, part.gramian, change)
        whole += part.gramian.diagonal()
    return [float((a.clamp(min=0) / b).sqrt()) if b > 0 else 0.0 for a, b in zip(lost, whole, strict=True)]


@dataclass(frozen=True)
class Calibrated:
    """Cosines with their reliability."""

    reliability: list[float]
    """Split-half cosine of each task."""
    corrected: list[list[float | None]]
    """Cosine of each pair as it would be without noise; None where that cannot be said."""


def calibrate(halves: Tensor) -> Calibrated:
    """From the Gramian of both halves of every task (2 x tasks, 2 x tasks): all first halves, then all second ones."""
    count = len(halves) // 2
    between = cosines(halves)
    reliability = [float(between[t, t + count]) for t in range(count)]
    corrected: list[list[float | None]] = [[None] * count for _ in range(count)]
    for a in range(count):
        for b in range(count):
            both = reliability[a], reliability[b]
            # Not `min`: half of a batch may have no gradient, and which of NaN and a number is less depends on their order.
            if a != b and all(one > RELIABLE for one in both):
                # Halves of different tasks share no noise either, but only these two pairs are as independent as the halves.
                across = float(between[a, b + count] + between[a + count, b]) / 2
                corrected[a][b] = across / (both[0] * both[1]) ** 0.5
    return Calibrated(reliability, corrected)
