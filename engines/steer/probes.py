"""What can be known of each layer without generating anything: a prior for the search, never its objective.

Directions that separate right from wrong need not steer; layers where nothing separates them hardly will.
"""

from dataclasses import dataclass

import torch

from engines.steer.logistic import auc_interval, folds, held_out_scores
from engines.steer.store import Activations
from engines.steer.vectors import class_means, mean_difference

_HALVES = 20


@dataclass(frozen=True)
class LayerProbe:
    """One layer's figures; all are on questions that what is measured has not seen, or need no held-out ones."""

    layer: int
    auc: float
    """Of a logistic probe, cross-validated by question, with a 95 % interval over questions."""
    low: float
    high: float
    d_prime: float
    """Distance of right and wrong along the mean difference of other questions, in standard deviations."""
    split_half: float
    """Cosine of the mean differences of two random halves of the questions, averaged: does more data change it?"""
    pairwise: float
    """Mean cosine between differences of different questions: is it one direction at all?"""
    norm_share: float
    """Length of the mean difference as a share of the activations' median length."""


def probe_layers(found: Activations, c: float = 0.1, seed: int = 0) -> list[LayerProbe]:
    """Figures of every layer."""
    right, wrong, kept = class_means(found.values, found.labels, found.questions)
    x = torch.cat([right, wrong])
    y = torch.cat([torch.ones(len(right)), torch.zeros(len(wrong))])
    groups = [*kept, *kept]
    differences = right - wrong
    mean = mean_difference(found.values, found.labels, found.questions)
    rows = []
    for place, layer in enumerate(found.layers):
        area, low, high = auc_interval(held_out_scores(x[:, place], y, groups, c, seed), y, groups, seed)
        rows.append(
            LayerProbe(
                layer, area, low, high,
                d_prime=_d_prime(right[:, place], wrong[:, place], folds(kept, seed)),
                split_half=_split_half(differences[:, place], seed),
                pairwise=_pairwise(differences[:, place]),
                norm_share=float(mean[place].norm()) / found.norm_ref[place],
            )
        )  # fmt: skip
    return rows


def _d_prime(right: torch.Tensor, wrong: torch.Tensor, fold: torch.Tensor) -> float:
    """Of class means (questions, size), each projected on the direction of the other folds' questions."""
    above, below = torch.zeros(len(right)), torch.zeros(len(wrong))
    for number in fold.unique().tolist():
        test = fold == number
        if bool((~test).any()):
            direction = (right[~test] - wrong[~test]).mean(dim=0)
            direction = direction / direction.norm().clamp(min=1e-12)
            above[test], below[test] = right[test] @ direction, wrong[test] @ direction
    spread = ((above.var() + below.var()) / 2).sqrt()
    return float((above.mean() - below.mean()) / spread.clamp(min=1e-12))


def _split_half(differences: torch.Tensor, seed: int) -> float:
    generator, cosines = torch.Generator().manual_seed(seed), []
    for _ in range(_HALVES):
        order = torch.randperm(len(differences), generator=generator)
        one, other = (differences[half].mean(dim=0) for half in order.tensor_split(2))
        cosines.append(torch.cosine_similarity(one, other, dim=0))
    return float(torch.stack(cosines).mean())


def _pairwise(differences: torch.Tensor) -> float:
    unit = differences / differences.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    n = len(unit)
    return float((unit.sum(dim=0).square().sum() - unit.square().sum()) / (n * (n - 1)))
