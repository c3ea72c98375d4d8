"""Picking the next token, reproducibly: one uniform number a token, drawn from the seed and the prompt alone.

A completion therefore depends neither on the batch size nor on which other prompts are generated beside it.
"""

import hashlib

import torch

from engines.recipe.blocks import SamplingBlock


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
    scaled = logits.double() / sampling.temperature
    tokens = None
    if sampling.top_k:
        scaled, tokens = scaled.topk(min(sampling.top_k, scaled.shape[-1]), dim=-1)
    elif sampling.top_p < 1:
        scaled, tokens = scaled.sort(dim=-1, descending=True)
    probabilities = scaled.softmax(dim=-1)
    cumulative = probabilities.cumsum(dim=-1)
    total = cumulative[:, -1:]
    if sampling.top_p < 1:
        kept = (cumulative - probabilities < sampling.top_p).sum(dim=-1, keepdim=True)
        total = cumulative.gather(1, kept - 1)
    # Inverting the cumulative sum needs one random number a token; double precision keeps rare tokens reachable.
    position = torch.searchsorted(cumulative, uniform.unsqueeze(1) * total, right=True)
    position = position.clamp(max=cumulative.shape[-1] - 1)
    return (position if tokens is None else tokens.gather(1, position)).squeeze(1)
