"""Whether predictions find their targets, and whether embeddings still differ: figures that a falling loss can hide.

A cosine loss near zero says nothing if every embedding points the same way. These say it (spec: RankMe, arXiv
2210.02885; uniformity, arXiv 2005.10242; retrieval and mean-direction energy as in the audits of LLM-JEPA).
"""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

_FOLDS = 5
_PENALTY = 0.01


def retrieval(scores: Tensor, right: Tensor, allowed: Tensor) -> dict[str, float]:
    """Of P predictions among C candidates: how often the right one is first, the mean reciprocal rank, and chance.

    `scores` `(P, C)`, `right` `(P,)` the column of each one's target, `allowed` `(P, C)` bool the columns that it is to be
    told from, the right one among them. Ties count against it: where all embeddings are the same, nothing is found.
    """
    own = scores.gather(1, right[:, None])
    rivals = allowed.scatter(1, right[:, None], value=False)
    rank = 1 + ((scores >= own) & rivals).sum(dim=1)
    count = 1 + rivals.sum(dim=1)
    return {
        "r1": float((rank == 1).float().mean()),
        "mrr": float((1 / rank).mean()),
        "chance": float((1 / count).mean()),
    }


def cosines(predictions: Tensor, targets: Tensor) -> Tensor:
    """`(P, C)` from `(P, hidden)` and `(C, hidden)`."""
    return F.normalize(predictions.float(), dim=-1) @ F.normalize(targets.float(), dim=-1).T


def margin(scores: Tensor, right: Tensor, unrelated: Tensor) -> tuple[float, float]:
    """The mean cosine of pairs, and of predictions with targets of other examples (`unrelated` `(P, C)` bool)."""
    paired = scores.gather(1, right[:, None]).mean()
    apart = scores[unrelated].mean() if bool(unrelated.any()) else paired
    return float(paired), float(apart)


def effective_rank(embeddings: Tensor) -> float:
    """RankMe (arXiv 2210.02885, eq. 1): exp of the entropy of the singular values of `(N, hidden)`; 1 to min(N, hidden)."""
    values = torch.linalg.svdvals(embeddings.float())
    share = values / values.sum().clamp(min=1e-12) + 1e-7
    return float(torch.exp(-(share * share.log()).sum()))


def mean_direction_energy(embeddings: Tensor) -> float:
    """Share of the energy of unit embeddings that lies in their mean: 1 where all point the same way."""
    return float(F.normalize(embeddings.float(), dim=-1).mean(dim=0).square().sum())


def spread(embeddings: Tensor) -> float:
    """Mean standard deviation over the dimensions of unit embeddings, times sqrt(hidden): 1 where they point anywhere."""
    unit = F.normalize(embeddings.float(), dim=-1)
    return float(unit.std(dim=0, correction=0).mean() * unit.shape[1] ** 0.5)


def uniformity(embeddings: Tensor) -> float:
    """log of the mean of exp(-2 |x - y|^2) over pairs of unit embeddings (arXiv 2005.10242, eq. 5): 0 where all are the
    same, -4 where they point anywhere in many dimensions."""
    unit = F.normalize(embeddings.float(), dim=-1)
    if len(unit) < 2:
        return 0.0
    return float(torch.pdist(unit).square().mul(-2).exp().mean().log())


def centred(predictions: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """Both without their means, each its own: what is left where all embeddings share a direction."""
    return predictions - predictions.mean(dim=0), candidates - candidates.mean(dim=0)


def linear_r2(predictions: Tensor, targets: Tensor, groups: Tensor) -> float:
    """How much of the targets' variance a linear map of the predictions explains in examples that it was not fitted on.

    `(P, hidden)` each; `groups` `(P,)` the examples. Ridge regression on all folds of examples but one, the penalty a
    hundredth of the predictions' mean squared norm; 0 or less where nothing carries over, 1 where all does.
    """
    found = groups.unique()
    folds = min(_FOLDS, len(found))
    if folds < 2:
        return float("nan")
    fold = torch.searchsorted(found, groups) % folds
    off, around = 0.0, 0.0
    for number in range(folds):
        fitted, left = fold != number, fold == number
        inputs, outputs = predictions[fitted].double(), targets[fitted].double()
        mean_in, mean_out = inputs.mean(dim=0), outputs.mean(dim=0)
        inputs, outputs = inputs - mean_in, outputs - mean_out
        # As many unknowns as predictions, not as dimensions.
        kernel = inputs @ inputs.T
        penalty = _PENALTY * kernel.diagonal().mean().clamp(min=1e-12)
        weights = torch.linalg.solve(kernel + penalty * torch.eye(len(kernel), dtype=kernel.dtype), outputs)
        guess = (predictions[left].double() - mean_in) @ inputs.T @ weights + mean_out
        off += float((targets[left].double() - guess).square().sum())
        around += float((targets[left].double() - mean_out).square().sum())
    return 1 - off / max(around, 1e-12)
