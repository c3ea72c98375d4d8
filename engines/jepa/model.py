"""A language model together with its predictor: packed rows in, logits and embeddings out, in one forward pass."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from engines.jepa.collate import PackedBatch, PairIndex
from engines.jepa.masks import Mask, attention_mask
from engines.jepa.predictor import Predictor
from engines.training.rows import IGNORED


class JepaModel(nn.Module):
    """The parts that are trained; `lm` is what is saved in the end."""

    def __init__(self, lm: Any, predictor: Predictor) -> None:
        super().__init__()
        self.lm = lm
        self.predictor = predictor

    @property
    def causal_lm(self) -> Any:
        """The language model without the wrapper of an adapter, whose layers stand inside it."""
        return self.lm.get_base_model() if hasattr(self.lm, "peft_config") else self.lm

    @property
    def transformer(self) -> Any:
        """The model up to its last hidden states."""
        return self.causal_lm.base_model

    @property
    def config(self) -> Any:
        return self.causal_lm.config

    def gradient_checkpointing_enable(self, **options: Any) -> None:
        """As the trainer asks for it."""
        self.causal_lm.gradient_checkpointing_enable(**options)

    @contextmanager
    def attention(self, kernel: str | None) -> Iterator[None]:
        """Run with another attention kernel for as long as the block lasts; None changes nothing."""
        before = self.config.get_text_config()._attn_implementation
        if kernel in (None, before):
            yield
            return
        self.causal_lm.set_attn_implementation(kernel)
        try:
            yield
        finally:
            self.causal_lm.set_attn_implementation(before)

    def embed(self, batch: PackedBatch) -> Tensor:
        """Embeddings `(B, L, hidden)`, those of predictor tokens put in."""
        embeddings = self.causal_lm.get_input_embeddings()(batch.input_ids)
        return self.predictor.put_in(embeddings, batch.predictors)

    def encode(
        self,
        batch: PackedBatch,
        embeddings: Tensor | None = None,
        mask: Mask | dict[str, Mask] | None = None,
    ) -> Tensor:
        """Last hidden states `(B, L, hidden)`; both options replace what the batch itself says."""
        embeddings = self.embed(batch) if embeddings is None else embeddings
        mask = attention_mask(batch, self.config, embeddings.dtype) if mask is None else mask
        return self._states(self.transformer, batch, mask, {"inputs_embeds": embeddings})

    def encode_with(self, weights: Mapping[str, Tensor], batch: PackedBatch) -> Tensor:
        """The same by the transformer with some of its parameters replaced, without a gradient.

        The states of predictor tokens are meaningless.
        """
        with torch.no_grad():
            mask = attention_mask(batch, self.config, self.causal_lm.get_input_embeddings().weight.dtype)
            transformer = _With(self.transformer, weights)
            return self._states(transformer, batch, mask, {"input_ids": batch.input_ids})

    def _states(self, transformer: Any, batch: PackedBatch, mask: Any, inputs: dict[str, Tensor]) -> Tensor:
        out = transformer(**inputs, attention_mask=mask, position_ids=batch.position_ids, use_cache=False)
        states: Tensor = out.last_hidden_state
        return states

    def logits(self, states: Tensor) -> Tensor:
        """Of states `(N, hidden)`, as the model itself makes them; the proof compares."""
        config = self.config.get_text_config()
        logits: Tensor = self.causal_lm.get_output_embeddings()(states)
        if (scaling := getattr(config, "logits_scaling", None)) is not None:  # Granite
            logits = logits / scaling
        if (cap := getattr(config, "final_logit_softcapping", None)) is not None:  # Gemma 2
            logits = torch.tanh(logits / cap) * cap
        return logits

    def forward(self, batch: PackedBatch) -> dict[str, Tensor]:
        """One pass, with P pairs and N supervised tokens: `logits` `(N, vocabulary)` of the supervised tokens alone,
        `labels` `(N,)`, `predictions` and `targets` `(P, hidden)`."""
        states = self.encode(batch)
        supervised = batch.labels[:, 1:] != IGNORED
        sources, targets = read(states, batch.pairs)
        return {
            "logits": self.logits(states[:, :-1][supervised]),
            "labels": batch.labels[:, 1:][supervised],
            "predictions": self.predictor(sources),
            "targets": targets,
        }


class _With:
    """A module that is called with some of its parameters replaced."""

    def __init__(self, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
        self._module, self._weights = module, dict(weights)

    def __call__(self, **inputs: Any) -> Any:
        return functional_call(self._module, self._weights, kwargs=inputs)


def read(states: Tensor, pairs: PairIndex) -> tuple[Tensor, Tensor]:
    """The states that predict and the embeddings to be predicted, `(P, hidden)` each.

    With an origin both are differences: source - origin predicts target - source, as in Semantic Tube Prediction
    (arXiv 2602.22617), whose loss is 1 - cos(h_r - h_s, h_t - h_r).
    """
    sources, targets = states[pairs.row, pairs.source], embeddings_at(states, pairs)
    from_origin = (pairs.origin >= 0)[:, None]
    if not bool(from_origin.any()):
        return sources, targets
    origins = states[pairs.row, pairs.origin.clamp(min=0)]
    return torch.where(from_origin, sources - origins, sources), torch.where(
        from_origin, targets - sources, targets
    )


def embeddings_at(states: Tensor, spans: PairIndex) -> Tensor:
    """The mean of the states over each span, `(P, hidden)`."""
    if bool((spans.end - spans.start == 1).all()):
        return states[spans.row, spans.start]
    where = zip(spans.row.tolist(), spans.start.tolist(), spans.end.tolist(), strict=True)
    return torch.stack([states[row, start:end].mean(dim=0) for row, start, end in where])
