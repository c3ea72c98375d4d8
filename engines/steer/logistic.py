"""Logistic regression with an L2 penalty, and how well its scores tell two classes apart on questions it has not seen."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

_FOLDS = 5
_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Logistic:
    """A fitted classifier: score = (x - mean) / scale @ coefficients + intercept."""

    coefficients: torch.Tensor
    intercept: float
    mean: torch.Tensor
    scale: torch.Tensor

    @property
    def direction(self) -> torch.Tensor:
        """(features,) in the features' own units. The coefficients alone are those of standardised features: taken for a
        direction, they would turn it towards features that hardly vary."""
        return self.coefficients / self.scale

    def scores(self, x: torch.Tensor) -> torch.Tensor:
        return (x.double() - self.mean) / self.scale @ self.coefficients + self.intercept


def fit(x: torch.Tensor, y: torch.Tensor, c: float = 1.0) -> Logistic:
    """Minimise |w|^2 / 2 + c * sum of log losses over standardised features (n, features); y (n,) is 0 or 1. The
    intercept is not penalised. Deterministic."""
    x, y = x.double(), y.double()
    mean, scale = x.mean(dim=0), x.std(dim=0, correction=0)
    scale = torch.where(scale > 1e-12 * (1 + mean.abs()), scale, 1.0)
    z = (x - mean) / scale
    weights = torch.zeros(z.shape[1] + 1, dtype=torch.float64, device=x.device, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights], max_iter=500, tolerance_grad=1e-8, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        scores = z @ weights[:-1] + weights[-1]
        losses = torch.nn.functional.binary_cross_entropy_with_logits(scores, y, reduction="sum")
        value: torch.Tensor = 0.5 * weights[:-1].square().sum() + c * losses
        value.backward()
        return value

    with torch.enable_grad():
        optimiser.step(loss)
    found = weights.detach()
    return Logistic(found[:-1], float(found[-1]), mean, scale)


def folds(groups: Sequence[str], seed: int = 0) -> torch.Tensor:
    """The fold (n,) of each row; rows of a group share theirs, so that no question is in training and test."""
    names = sorted(set(groups))
    random.Random(f"folds {seed}").shuffle(names)
    fold = {name: place % _FOLDS for place, name in enumerate(names)}
    return torch.tensor([fold[group] for group in groups])


def held_out_scores(
    x: torch.Tensor, y: torch.Tensor, groups: Sequence[str], c: float = 1.0, seed: int = 0
) -> torch.Tensor:
    """Scores (n,) from classifiers that have not seen the row's group. 0 where a training part has one class only."""
    fold, scores = folds(groups, seed), torch.zeros(len(y), dtype=torch.float64)
    for number in range(_FOLDS):
        test = fold == number
        if bool(test.any()) and 0 < float(y[~test].double().mean()) < 1:
            scores[test] = fit(x[~test], y[~test], c).scores(x[test])
    return scores


def auc(scores: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Chance that a row of class 1 scores above one of class 0, ties half; for weights (resamples, n), one each.

    0.5 where a class is missing."""
    weights = torch.ones(1, len(y), dtype=torch.float64) if weights is None else weights.double()
    _, rank = scores.unique(return_inverse=True)  # sorted, so ranks go up with the scores
    levels = torch.zeros(weights.shape[0], int(rank.max()) + 1 if len(rank) else 1, dtype=torch.float64)
    positive = levels.index_add(1, rank, weights * (y != 0))
    negative = levels.index_add(1, rank, weights * (y == 0))
    below = negative.cumsum(dim=1) - negative
    wins = (positive * (below + negative / 2)).sum(dim=1)
    pairs = positive.sum(dim=1) * negative.sum(dim=1)
    return torch.where(pairs > 0, wins / pairs.clamp(min=1e-12), 0.5)


def auc_interval(
    scores: torch.Tensor, y: torch.Tensor, groups: Sequence[str], seed: int = 0, confidence: float = 0.95
) -> tuple[float, float, float]:
    """The AUC with a percentile interval from resampled groups: rows of one question are no independent evidence."""
    names = {name: place for place, name in enumerate(sorted(set(groups)))}
    member = torch.tensor([names[group] for group in groups])
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(names), (_RESAMPLES, len(names)), generator=generator)
    counts = torch.zeros(_RESAMPLES, len(names), dtype=torch.float64)
    counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))
    resampled = auc(scores, y, counts[:, member]).sort().values
    tail = int((1 - confidence) / 2 * _RESAMPLES)
    return float(auc(scores, y)), float(resampled[tail]), float(resampled[-tail - 1])
