"""The two losses of a forward pass, and the figures that are logged beside them.

Both are sums divided by counts over all that one optimizer step accumulates, so that how a batch is split into passes
changes neither. But `infonce` has the negatives, and `shuffle` the other rows, of one pass: for them it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from engines.jepa.distances import distances
from engines.jepa.fields import JepaBlock


@dataclass(frozen=True)
class Counts:
    """What one optimizer step sees, over all its forward passes."""

    labels: int
    pairs: int
    tokens: int
    """Of the ordinary rows, with and without a loss."""


def language_loss(readings: Mapping[str, Tensor]) -> Tensor:
    """The sum of the cross-entropies of the supervised tokens, in float32."""
    return F.cross_entropy(readings["logits"].float(), readings["labels"], reduction="sum")


def embedding_loss(block: JepaBlock, predictions: Tensor, targets: Tensor, partner: Tensor) -> Tensor:
    """The sum of the distances of `(P, hidden)` predictions to targets.

    The control `shuffle` takes those of `partner`, `(P,)`, instead; -1 leaves the prediction out.
    """
    if block.control == "shuffle":
        kept = partner >= 0
        predictions, targets = predictions[kept], targets[partner[kept]]
    if not len(predictions):
        return predictions.sum() * 0  # no pair in this pass: no loss, and a gradient all the same
    if block.target_grad != "symmetric":
        targets = targets.detach()
    return distances(block.distance, predictions, targets, temperature=block.temperature).sum()


def pair_count(block: JepaBlock, partner: Tensor) -> int:
    """How many pairs bear a loss."""
    return int((partner >= 0).sum()) if block.control == "shuffle" else len(partner)


def weight_at(block: JepaBlock, step: int, steps: int) -> float:
    """Lambda at optimizer step `step` (from 0) of `steps`: it grows linearly from 0 over the warm-up."""
    if block.mode in ("regular", "monitor") or block.control == "same_compute":
        return 0.0
    warmup = block.lambda_warmup_steps
    warmup = warmup if warmup >= 1 else warmup * steps
    return block.lambda_ * min(1.0, step / warmup) if warmup > 0 else block.lambda_


def figures(readings: Mapping[str, Tensor], targets: Tensor, partner: Tensor) -> dict[str, Tensor]:
    """Sums for the log: right tokens, and cosines of predictions with their targets and with those of other rows."""
    with torch.no_grad():
        correct = (readings["logits"].argmax(dim=-1) == readings["labels"]).sum()
        predictions, others = readings["predictions"].float(), partner >= 0
        paired = F.cosine_similarity(predictions[others], targets[others].float(), dim=-1)
        apart = F.cosine_similarity(predictions[others], targets[partner[others]].float(), dim=-1)
        return {"correct": correct, "paired": paired.sum(), "apart": apart.sum(), "compared": others.sum()}


def gradient_figures(language: Tensor, embedding: Tensor, parameters: Sequence[Tensor]) -> dict[str, float]:
    """How the two losses pull: the norm of the embedding loss's gradient over the language loss's, and their cosine.

    Without their weights. The graph is kept, and no gradient is stored. Empty where either has none.
    """
    if not (language.requires_grad and embedding.requires_grad):
        return {}
    one, other = (
        torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
        for loss in (language, embedding)
    )
    norms = [torch.stack([part.float().norm() for part in parts]).norm() for parts in (one, other)]
    dot = sum(float((a.float() * b.float()).sum()) for a, b in zip(one, other, strict=True))
    if not all(bool(norm > 0) for norm in norms):
        return {}
    return {
        "jepa_grad_ratio": float(norms[1] / norms[0]),
        "jepa_grad_cosine": dot / float(norms[0] * norms[1]),
    }
