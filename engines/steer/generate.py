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
        self._found: dict[int, list[float]] = {}
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
        self._found = {}
        groups = self._alike(requests)
        for batch in super().stream([requests[group[0]] for group in groups], sampling, stop, seed):
            for place, _ in batch:
                if place in self._found:
                    self.strengths.update(dict.fromkeys(groups[place], self._found[place]))
            yield [(index, made) for place, made in batch for index in groups[place]]

    def _alike(self, requests: Sequence[Request]) -> list[list[int]]:
        """Places of requests that have the same completion: asked for twice, or unsteered by different names."""
        named = {name: self._steering(name) for name in {request.steer for request in requests}}
        keys = {
            name: steering.key if steering is not None and steering.spec.alpha != 0 else ""
            for name, steering in named.items()
        }
        groups: dict[tuple[str, int, str], list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault((request.prompt, request.sample, keys[request.steer]), []).append(place)
        return list(groups.values())

    def _steering(self, name: str) -> Steering | None:
        return self.steerings[name] if name else self.default

    @contextmanager
    def _decoder(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: StopStrings, seed: int
    ) -> Iterator[Decoder]:
        table = {name: self._steering(name) for name in {request.steer for request in requests}}
        with hooked(self.model, places_of(list(table.values()))) as state:
            yield self._decoder_type()(
                self.model, self.tokenizer, sampling, stop, seed, state, table, self._found
            )

    def _decoder_type(self) -> "type[SteeredDecoder]":
        return SteeredDecoder


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
        distinct = len({self._head_key(row) for row in rows})
        short = min(len(row.prompt_ids) for row in rows) < 2
        if dynamic and (short or not can_select(cache)):
            raise RecipeError(
                "steering: a `dac` schedule needs prompts of two tokens or more, and a cache that can be copied",
                hint="use another schedule for this model",
            )
        if not dynamic and (distinct == len(rows) or short or not can_select(cache)):
            return self._read(rows, [tuple(row.prompt_ids) for row in rows], cache)
        mask = self._read_heads(rows, cache)
        if dynamic:
            self._branches = Branches.of(rows, steerings, cache)
        last = torch.tensor([row.prompt_ids[-1:] for row in rows], device=mask.device)
        return self._forward(rows, last, mask, mask.sum(dim=-1, keepdim=True) - 1, cache), mask

    def _head_key(self, row: Row) -> tuple[tuple[int, ...], str]:
        """Equal for rows of which all but the last token of the prompt is read alike."""
        spared = self._spares(self.steerings[row.request.steer])
        return tuple(row.prompt_ids), "" if spared else row.request.steer

    def _read_heads(self, rows: list[Row], cache: DynamicCache) -> torch.Tensor:
        """Read all but the last token of each prompt, once for rows that are alike there. The mask is of whole prompts."""
        keys = [self._head_key(row) for row in rows]
        places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        heads = [rows[keys.index(key)] for key in places]
        self._assigned, self._prompt_width, self._branches = None, None, None
        self._ahead = 1
        _, mask = self._read(heads, [tuple(row.prompt_ids[:-1]) for row in heads], cache)
        self._ahead = 0
        expand = torch.tensor([places[key] for key in keys], device=mask.device)
        cache.batch_select_indices(expand)
        return torch.nn.functional.pad(mask[expand], (0, 1), value=1)

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
