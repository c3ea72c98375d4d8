"""Steered completions from drafts: where steering changes nothing, the unsteered completion is read, not written again.

One pass over prompt and draft tells what the steered model would have written at every place. Up to the first place where
that is another token, the draft is what it writes; from there on it writes by itself, with what it has read so far. So the
tokens are those of plain steered generation, as far as passes of other shapes round alike: in float32, greedily.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from engines.generation.decoding import Decoder, Row, may_have_holes
from engines.generation.generator import Request
from engines.generation.kv_cache import roomy_cache
from engines.generation.stopping import StopStrings
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError
from engines.steer.dac import dac_of
from engines.steer.generate import SteeredDecoder, SteeredGenerator
from engines.steer.placement import constant_from

_TRIED = 128
"""Tokens of drafts after which a steering has shown how it takes them."""
_WORTH = 0.6
"""Share of them that must have been kept. Measured with `pocket` on a CPU: with less, reading the rest costs more."""


def why_not_exact(model: Any) -> str | None:
    """Why drafts would not give a model's own tokens, or could not be used at all; None where they do."""
    if model.dtype != torch.float32:
        return f"passes of other shapes round otherwise in {str(model.dtype).removeprefix('torch.')}"
    if not may_have_holes(model, roomy_cache(model.config)):
        return f"a `{model.config.model_type}` model counts columns, those of tokens that were taken back among them"
    return None


@dataclass
class Tally:
    """How one steering takes drafts."""

    offered: int = 0
    """Tokens of drafts that were read."""
    kept: int = 0
    """Of these, those that the steered model wrote as well."""

    @property
    def is_worth_it(self) -> bool:
        return self.offered < _TRIED or self.kept >= _WORTH * self.offered


class DraftingGenerator(SteeredGenerator):
    """A steered generator that has unsteered completions (token ids) by prompt.

    Rows without a draft, with a schedule or place of steering that counts columns, or with a steering that has kept too
    little of its drafts so far, are generated as ever, as is all that is sampled.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        batch_size: int = 64,
        drafts: Mapping[str, Sequence[int]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, tokenizer, batch_size, **options)
        if model.dtype != torch.float32:
            raise RecipeError(
                f"steering: drafts are not exact in {str(model.dtype).removeprefix('torch.')}",
                hint="use `model.dtype: float32`, or generate without drafts",
            )
        self.drafts = {} if drafts is None else drafts
        """What is added to them later is used as well."""
        self.tallies: dict[str, Tally] = {}
        """By steering; over all streams so far."""

    @contextmanager
    def _decoder(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: StopStrings, seed: int
    ) -> Iterator[Decoder]:
        with super()._decoder(requests, sampling, stop, seed) as decoder:
            if isinstance(decoder, DraftingDecoder) and sampling.temperature == 0:
                decoder.drafts, decoder.tallies = self.drafts, self.tallies
            yield decoder

    def _decoder_type(self) -> type[SteeredDecoder]:
        return DraftingDecoder


class DraftingDecoder(SteeredDecoder):
    """Decodes batches in which some rows have a draft."""

    drafts: Mapping[str, Sequence[int]] = {}
    tallies: dict[str, Tally] = {}

    def _decode(self, rows: list[Row]) -> None:
        cache = roomy_cache(self.model.config)
        drafts = [self._draft(row) for row in rows]
        dynamic = any(dac_of(self.steerings[row.request.steer]) for row in rows)
        short = min(len(row.prompt_ids) for row in rows) < 2
        if not any(drafts) or dynamic or short or not may_have_holes(self.model, cache):
            return super()._decode(rows)
        mask = self._read_heads(rows, cache)
        self._assign(rows, mask)
        logits, kept = self._verify(rows, drafts, mask, cache)
        alive = []
        for place, (row, draft) in enumerate(zip(rows, drafts, strict=True)):
            for token in [*draft[: kept[place]], int(logits[place].argmax())]:
                self._append(row, token)
            if not self._is_done(row):
                row.generated.pop()  # what the logits say is written where writing goes on
                alive.append(place)
        if not alive:
            return None
        # Columns that no row goes on from are cropped; those that only some do stay as holes in the others' masks.
        count = torch.tensor([kept[place] for place in alive], device=mask.device)[:, None]
        written, widest = max(map(len, drafts)) - 1, int(count.max())
        cache.crop(widest - written)
        keep = torch.tensor(alive, device=mask.device)
        cache.batch_select_indices(keep)
        text = (torch.arange(widest, device=mask.device)[None] < count).long()
        rest = [rows[place] for place in alive]
        return self._write(rest, logits[keep], torch.cat([mask[keep], text], dim=1), cache)

    def _verify(
        self, rows: list[Row], drafts: list[list[int]], mask: torch.Tensor, cache: DynamicCache
    ) -> tuple[torch.Tensor, list[int]]:
        """Read the prompts' last tokens and the drafts but their last ones. How many tokens of each draft the steered
        model writes as well, of those that were read, and the logits (rows, vocabulary) behind them."""
        width = max(map(len, drafts))
        pad = self.tokenizer.pad_token_id
        read = [row.prompt_ids[-1:] + draft[:-1] for row, draft in zip(rows, drafts, strict=True)]
        ids = torch.tensor([tokens + [pad] * (width - len(tokens)) for tokens in read], device=mask.device)
        length = torch.tensor([len(tokens) for tokens in read], device=mask.device)[:, None]
        text = (torch.arange(width, device=mask.device)[None] < length).long()
        whole = torch.cat([mask[:, :-1], text], dim=1)
        positions = whole.cumsum(dim=-1)[:, -width:] - 1
        logits = self.model(
            input_ids=ids, attention_mask=whole, position_ids=positions, past_key_values=cache, use_cache=True
        ).logits
        kept = []
        for row, draft, written in zip(rows, drafts, logits.argmax(dim=-1).tolist(), strict=True):
            pairs = zip(draft[:-1], written, strict=False)
            kept.append(
                next((place for place, (old, new) in enumerate(pairs) if old != new), max(0, len(draft) - 1))
            )
            tally = self.tallies[row.request.steer]
            tally.offered += len(draft)
            tally.kept += kept[-1] + (kept[-1] + 1 == len(draft) and written[kept[-1]] == draft[-1])
        return logits[torch.arange(len(rows)), kept], kept

    def _draft(self, row: Row) -> list[int]:
        """The row's draft, or nothing where it has none that can be used."""
        draft = self.drafts.get(row.request.prompt, ())
        fixed = constant_from([self.steerings[row.request.steer]], [0]) is not None
        worth = self.tallies.setdefault(row.request.steer, Tally()).is_worth_it
        return list(draft)[: self.sampling.max_new_tokens] if fixed and worth else []
