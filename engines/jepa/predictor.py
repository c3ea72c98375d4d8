"""What turns a state into a prediction: tokens of their own, which the model reads, or a layer on top.

The tokens are no part of the vocabulary. They exist only as embeddings put in at their places, so that the tokenizer
does not change, nothing can generate them, a tied output layer has no extra rows, and what is saved is an ordinary model.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engines.jepa.fields import JepaBlock
from engines.jepa.layout import NO_PREDICTOR

FILE = "predictor.safetensors"
_SAMPLED = 8192
"""Tokens of the vocabulary that the mean and the spread of embeddings are taken from."""


class Predictor(nn.Module):
    """K token embeddings `(K, hidden)`, and a layer on top or none."""

    def __init__(self, tokens: Tensor, head: nn.Module) -> None:
        super().__init__()
        self.tokens = nn.Parameter(tokens)
        self.head = head

    def put_in(self, embeddings: Tensor, predictors: Tensor) -> Tensor:
        """The embeddings `(B, L, hidden)` with those of the predictor tokens where `predictors` `(B, L)` says so."""
        if not len(self.tokens):
            return embeddings
        own = self.tokens.to(embeddings.dtype)[predictors.clamp(min=0)]
        return torch.where((predictors != NO_PREDICTOR)[..., None], own, embeddings)

    def forward(self, states: Tensor) -> Tensor:
        """The predictions from states `(P, hidden)`, in float32 where there is a layer."""
        if isinstance(self.head, nn.Identity):
            return states
        with torch.autocast(states.device.type, enabled=False):
            predictions: Tensor = self.head(states.float())
        return predictions


def make_predictor(block: JepaBlock, embedding: nn.Module, seed: int) -> Predictor:
    """A new one in float32, for models with this embedding layer; the same for the same seed.

    Tokens begin as the mean of the vocabulary plus noise of the vocabulary's own spread, each its own: copies of the mean
    alone would be K times the same token (peft and transformers resize like that).
    """
    weight = embedding.weight
    assert isinstance(weight, Tensor)
    draw = torch.Generator().manual_seed(seed)
    width, device = weight.shape[1], weight.device
    sampled = torch.randperm(len(weight), generator=draw)[:_SAMPLED].to(device)
    with torch.no_grad():  # through the layer, since some scale what they look up
        vocabulary: Tensor = embedding(sampled).float()
        spread = vocabulary.std(dim=0)
        noise = torch.randn(block.tokens, width, generator=draw).to(device)
        tokens = vocabulary.mean(dim=0) + noise * spread
    return Predictor(tokens, _head(block.predictor, width, draw).to(device))


def save_predictor(predictor: Predictor, directory: Path) -> None:
    """For analysis: the saved model runs without. Writes nothing where there is nothing to a predictor."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in predictor.state_dict().items()}
    if tensors := {name: tensor for name, tensor in tensors.items() if tensor.numel()}:
        save_file(tensors, directory / FILE)


def _head(kind: str, width: int, draw: torch.Generator) -> nn.Module:
    if kind == "linear":  # bias-free, as in Semantic Tube Prediction (arXiv 2602.22617)
        layers: list[Any] = [nn.Linear(width, width, bias=False)]
    elif kind == "mlp":
        layers = [nn.Linear(width, width, bias=False), nn.GELU(), nn.Linear(width, width, bias=False)]
    else:
        return nn.Identity()
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=draw)
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)
