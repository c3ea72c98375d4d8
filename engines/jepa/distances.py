"""How far predictions are from their targets: one number a pair, in float32 whatever the model computes in."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engines.jepa.fields import Distance


def distances(kind: Distance, predictions: Tensor, targets: Tensor, *, temperature: float) -> Tensor:
    """`(P,)` from `(P, hidden)` each.

    cosine 1 - cos, l2 the norm of the difference, mse its mean square (all LLM-JEPA, arXiv 2509.14252), smooth_l1 the
    mean Huber loss, infonce the cross-entropy of the right target among all P by cosine over `temperature`.
    """
    predictions, targets = predictions.float(), targets.float()
    with torch.autocast(predictions.device.type, enabled=False):
        if kind == "infonce":
            scores = F.normalize(predictions, dim=-1) @ F.normalize(targets, dim=-1).T / temperature
            right = torch.arange(len(scores), device=scores.device)
            return F.cross_entropy(scores, right, reduction="none")
        return _PAIRWISE[kind](predictions, targets)


def _cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(predictions, targets, dim=-1)


def _l2(predictions: Tensor, targets: Tensor) -> Tensor:
    # The norm has no gradient where prediction and target are the same.
    return (predictions - targets).square().sum(dim=-1).clamp(min=1e-12).sqrt()


def _mse(predictions: Tensor, targets: Tensor) -> Tensor:
    return (predictions - targets).square().mean(dim=-1)


def _smooth_l1(predictions: Tensor, targets: Tensor) -> Tensor:
    return F.smooth_l1_loss(predictions, targets, reduction="none").mean(dim=-1)


_PAIRWISE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": _cosine,
    "l2": _l2,
    "mse": _mse,
    "smooth_l1": _smooth_l1,
}
