"""Logits token by token over texts that are fixed beforehand, so that two ways of computing can be compared in one shape."""

from collections.abc import Sequence
from typing import Any

import torch

from engines.generation.decoding import left_padded
from engines.generation.kv_cache import roomy_cache


class Stepper:
    """Prompts with continuations, padded on the left; all continuations have the same length."""

    def __init__(
        self, model: Any, pad: int, prompts: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]
    ) -> None:
        self.model = model
        ids, mask = left_padded(prompts, pad, model.device)
        self.prompt_mask = mask
        self.width = ids.shape[1]
        rows = [list(tokens) for tokens in continuations]
        written = torch.tensor(rows, dtype=torch.long, device=model.device)
        written = written.reshape(len(prompts), -1)
        self.ids = torch.cat([ids, written], dim=1)
        self.mask = torch.cat([mask, torch.ones_like(written)], dim=1)
        self.positions = (self.mask.cumsum(dim=-1) - 1).clamp(min=0)

    @torch.inference_mode()
    def cached(self, widths: Sequence[int] | None = None) -> torch.Tensor:
        """Logits (rows, 1 + continuation, vocabulary) from the prompts' last token on: the prompts in pieces of these
        widths (None: in one), then a token a step."""
        pieces = [*(widths or [self.width]), *[1] * (self.ids.shape[1] - self.width)]
        cache, start, logits = roomy_cache(self.model.config), 0, []
        for width in pieces:
            columns = slice(start, start + width)
            start += width
            output = self.model(
                input_ids=self.ids[:, columns],
                attention_mask=self.mask[:, :start],
                position_ids=self.positions[:, columns],
                past_key_values=cache,
                use_cache=True,
            )
            logits.append(output.logits)
        return torch.cat(logits, dim=1)[:, self.width - 1 :]

    @torch.inference_mode()
    def whole(self) -> torch.Tensor:
        """The same logits from one pass without a cache."""
        output = self.model(
            input_ids=self.ids, attention_mask=self.mask, position_ids=self.positions, use_cache=False
        )
        logits: torch.Tensor = output.logits
        return logits[:, self.width - 1 :]
