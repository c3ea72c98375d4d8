"""Steered generation: each request names its steering, and requests of all kinds share batches.

Rows may differ in layers, vectors, strengths and operations. What is not steered of a prompt, all but its last token
as a rule, is read once for all strengths that are tried on it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from transformers import DynamicCache

from engines.generation.decoding import Decoder, Row
from engines.generation.generator import Finished, Request
from engines.generation.hf import HfGenerator
from engines.generation.kv_cache import can_select
from engines.generation.stopping import StopStrings
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError
from engines.steer.dac import Branches, dac_of
from engines.steer.directions import Steering
from engines.steer.hooks import SteerState, hooked, places_of

STEERING = 1
"""Raised with every change after which the same spec gives other completions."""


class SteeredGenerator(HfGenerator):
    """A Hugging Face model that answers each request under the steering whose hash the request names.

    With a `default`, requests that name none are answered under it: the model as others see it is the steered one.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        batch_size: int = 64,
        steerings: Iterable[Steering] = (),
        default: Steering | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, tokenizer, batch_size, **options)
        self.identity += f" steer {STEERING} {default.key if default else ''}".rstrip()
        self.default = default
        self.steerings: dict[str, Steering] = {}
        self.strengths: dict[int, list[float]] = {}
        """Strengths that `dac` rows of the newest stream were steered with, token by token, by index of the request."""
        for steering in steerings:
            self.add(steering)

    def add(self, steering: Steering) -> str:
        """Make a steering known; its hash is what requests name."""
        self.steerings[steering.key] = steering
        return steering.key

    def stream(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: Sequence[str], seed: int
    ) -> Iterator[list[Finished]]:
        unknown = {request.steer for request in requests} - {*self.steerings, ""}
        if unknown:
            raise RecipeError(
                f"steering: no steering {min(unknown)[:16]} is known here", hint="add it before asking for it"
            )
        self.strengths = {}
        yield from super().stream(requests, sampling, stop, seed)

    @contextmanager
    def _decoder(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: StopStrings, seed: int
    ) -> Iterator[Decoder]:
        wanted = {request.steer for request in requests}
        table: dict[str, Steering | None] = {key: self.steerings.get(key) for key in wanted}
        if "" in table:
            table[""] = self.default
        with hooked(self.model, places_of(list(table.values()))) as state:
            yield SteeredDecoder(
                self.model, self.tokenizer, sampling, stop, seed, state, table, self.strengths
            )


def steered_requests(requests: Iterable[Request], steerings: Sequence[Steering | None]) -> list[Request]:
    """Every request under every steering; request r under steering s stands at r * len(steerings) + s."""
    keys = ["" if steering is None else steering.key for steering in steerings]
    return [replace(request, steer=key) for request in requests for key in keys]


class SteeredDecoder(Decoder):
    """Decodes batches in which each row has its own steering."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        sampling: SamplingBlock,
        stop: StopStrings,
        seed: int,
        state: SteerState,
        steerings: dict[str, Steering | None],
        strengths: dict[int, list[float]],
    ) -> None:
        super().__init__(model, tokenizer, sampling, stop, seed)
        self.state = state
        self.steerings = steerings
        self.strengths = strengths
        self._assigned: list[Row] | None = None
        self._prompt_width: int | None = None
        self._ahead = 0
        self._branches: Branches | None = None

    def begin_with(self, prefix: list[int], shortest: int) -> None:
        """Where steering leaves the prompts alone. A token less where a prompt would have none left before its last."""
        spared = all(self._spares(steering) for steering in self.steerings.values())
        own = prefix[:-1] if len(prefix) + 1 >= shortest else prefix
        super().begin_with(own if spared else [], shortest)

    def _prefill(self, rows: list[Row], cache: DynamicCache) -> tuple[torch.Tensor, torch.Tensor]:
        """As without steering where all prompts differ. Where some are the same, all but the last token is read once
        for each prompt, and then the last token of every row: whatever the rows' steering is, the shapes are the same."""
        self._assigned, self._prompt_width, self._branches = None, None, None
        for row in rows:  # of a batch that begins again when memory ran out
            self.strengths.pop(row.index, None)
        steerings = [self.steerings[row.request.steer] for row in rows]
        dynamic = any(dac_of(steering) for steering in steerings)
        keys = [
            (tuple(row.prompt_ids), "" if self._spares(steering) else row.request.steer)
            for row, steering in zip(rows, steerings, strict=True)
        ]
        places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        short = min(len(row.prompt_ids) for row in rows) < 2
        if dynamic and (short or not can_select(cache)):
            raise RecipeError(
                "steering: a `dac` schedule needs prompts of two tokens or more, and a cache that can be copied",
                hint="use another schedule for this model",
            )
        if not dynamic and (len(places) == len(rows) or short or not can_select(cache)):
            return self._read(rows, [tuple(row.prompt_ids) for row in rows], cache)
        self._ahead = 1
        heads = [rows[keys.index(key)] for key in places]
        _, mask = self._read(heads, [tuple(row.prompt_ids[:-1]) for row in heads], cache)
        self._ahead = 0
        expand = torch.tensor([places[key] for key in keys], device=mask.device)
        cache.batch_select_indices(expand)
        mask = torch.nn.functional.pad(mask[expand], (0, 1), value=1)
        if dynamic:
            self._branches = Branches.of(rows, steerings, cache)
        last = torch.tensor([row.prompt_ids[-1:] for row in rows], device=mask.device)
        return self._forward(rows, last, mask, mask.sum(dim=-1, keepdim=True) - 1, cache), mask

    def _forward(
        self,
        rows: list[Row],
        input_ids: torch.Tensor,
        mask: torch.Tensor,
        positions: torch.Tensor,
        cache: DynamicCache,
    ) -> torch.Tensor:
        if not rows:
            self.state.clear()
            return super()._forward(rows, input_ids, mask, positions, cache)
        if self._branches is not None:
            factor = self._strengths(rows, input_ids, mask, positions)
            self._assign(rows, mask)
            self.state.factor = factor
            logits = super()._forward(rows, input_ids, mask, positions, cache)
            self._branches.settle(cache)
            return logits
        if rows is not self._assigned:
            self._assign(rows, mask)
        return super()._forward(rows, input_ids, mask, positions, cache)

    def _assign(self, rows: list[Row], mask: torch.Tensor) -> None:
        """Tell the hooks whose rows these are. The prompts end in the first mask's last column, or in the one after."""
        if self._prompt_width is None:
            self._prompt_width = mask.shape[1] + self._ahead
        steerings = [self.steerings[row.request.steer] for row in rows]
        lengths = torch.tensor([len(row.prompt_ids) for row in rows])
        self.state.assign(steerings, torch.full_like(lengths, self._prompt_width - 1), lengths)
        if any(dac_of(steering) for steering in steerings):
            # Read before any of these tokens is steered: the strengths come with the prompt's last token.
            self.state.factor = torch.zeros(len(rows), device=self.state.device)
        self._assigned = rows

    def _strengths(
        self, rows: list[Row], input_ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """The strength (rows,) of each row's newest token; 0 for rows with a fixed schedule."""
        branches = self._branches
        assert branches is not None and self._prompt_width is not None
        branches.keep(rows)
        count = len(branches.rows)
        factor = torch.zeros(len(rows))
        if count:
            pick = torch.tensor(branches.places * 2, device=input_ids.device)
            lengths = torch.tensor([len(rows[place].prompt_ids) for place in branches.places] * 2)
            last = torch.full_like(lengths, self._prompt_width - 1)
            self.state.assign([*[None] * count, *branches.steerings], last, lengths)
            probes = [dac.alpha_probe for row in branches.steerings if (dac := dac_of(row))]
            self.state.factor = torch.tensor([0.0] * count + probes, device=self.state.device)
            logits = super()._forward(rows, input_ids[pick], mask[pick], positions[pick], branches.cache)
            for place, found in zip(branches.places, branches.strengths(logits), strict=True):
                self.strengths.setdefault(rows[place].index, []).append(found)
                factor[place] = found
        return factor.to(self.state.device)

    @staticmethod
    def _spares(steering: Steering | None) -> bool:
        return steering is None or steering.spec.alpha == 0 or steering.spec.spares_the_prompt
