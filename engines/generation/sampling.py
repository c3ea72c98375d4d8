"""Picking the next token, reproducibly: one uniform number a token, drawn from the seed and the prompt alone.

A completion therefore depends neither on the batch size nor on which other prompts are generated beside it.
"""

import hashlib

import torch

from engines.recipe.blocks import SamplingBlock

_BLOCK = 128


def uniforms(seed: int, prompt: str, sample: int, count: int) -> torch.Tensor:
    """The random numbers of one completion, one for each of `count` tokens."""
    generator = torch.Generator().manual_seed(derived_seed(seed, prompt, sample))
    return torch.rand(count, generator=generator, dtype=torch.float64)


def derived_seed(seed: int, prompt: str, sample: int = 0) -> int:
    """63 bits for one completion of one prompt."""
    digest = hashlib.sha256(f"{seed}/{sample}/{prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def next_tokens(logits: torch.Tensor, sampling: SamplingBlock, uniform: torch.Tensor | None) -> torch.Tensor:
    """One token for each row of `logits` (rows, vocabulary): the most likely, or the one that `uniform` selects."""
    if uniform is None:
        return logits.argmax(dim=-1)
    scaled = logits.float() / sampling.temperature
    tokens = None
    if sampling.top_k:
        scaled, tokens = scaled.topk(min(sampling.top_k, scaled.shape[-1]), dim=-1)
    elif sampling.top_p < 1:
        scaled, tokens = scaled.sort(dim=-1, descending=True)
    weights = scaled.softmax(dim=-1)
    if sampling.top_p < 1:
        weights = weights * (weights.cumsum(dim=-1, dtype=torch.float64) - weights < sampling.top_p)
    position = inverse_cumulative(weights, uniform)
    return position if tokens is None else tokens.gather(1, position.unsqueeze(1)).squeeze(1)


def inverse_cumulative(weights: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Where `uniform` (rows,), in [0, 1), falls in the running sum of each row of `weights` (rows, n).

    Sums are of double precision, to keep rare tokens reachable. Blocks are summed first, and single tokens only in
    the block that is hit, because a running sum over a whole vocabulary costs as much as the model's head.
    """
    blocks = torch.nn.functional.pad(weights, (0, -weights.shape[-1] % _BLOCK)).unflatten(-1, (-1, _BLOCK))
    ends = blocks.sum(dim=-1, dtype=torch.float64).cumsum(dim=-1)
    target = uniform.unsqueeze(1) * ends[:, -1:]
    block = _first_above(ends, target)
    target = target - torch.nn.functional.pad(ends, (1, 0)).gather(1, block)
    hit = blocks.take_along_dim(block.unsqueeze(-1), dim=1).squeeze(1)
    return (block * _BLOCK + _first_above(hit.cumsum(dim=-1, dtype=torch.float64), target)).squeeze(1)


def _first_above(sums: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Index of the first sum above `target`; where rounding has left none, of the first that is the whole sum."""
    whole = (sums < sums[:, -1:]).sum(dim=-1, keepdim=True)
    return torch.minimum(torch.searchsorted(sums, target, right=True), whole)
