"""Decoding one static batch: prompts read together, then a token a step for every row that is not done."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from engines.generation.completion import Completion
from engines.generation.generator import Request
from engines.generation.kv_cache import can_select, fill, is_all_roomy, is_empty, roomy_cache
from engines.generation.sampling import next_tokens, uniforms
from engines.generation.stopping import StopStrings, decode
from engines.modeling.tokens import end_token_ids
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError

_COMPACT_BELOW = 0.8
"""Finished rows are dropped when at most this share of the batch is still being written."""
_OWN_WINDOWS = {"gpt_neo"}
"""Families with windows that their cache does not know of, and that would count padding."""
_OWN_STATE = {"minimax", "recurrent_gemma", "rwkv", "xlstm"}
"""Families that keep what they have read where no cache of ours holds it: rows could not be dropped."""


@dataclass(eq=False)
class Row:
    """One completion in the making."""

    index: int
    request: Request
    prompt_ids: list[int]
    generated: list[int] = field(default_factory=list)
    terminated: bool = False


class Decoder:
    """Decodes one batch of rows at a time."""

    def __init__(
        self, model: Any, tokenizer: Any, sampling: SamplingBlock, stop: StopStrings, seed: int
    ) -> None:
        if model.config.model_type in _OWN_STATE:
            raise _keeps_its_state(model)
        self.model = model
        self.tokenizer = tokenizer
        self.sampling = sampling
        self.stop = stop
        self.seed = seed
        self.ends = end_token_ids(tokenizer, model)
        # Between training steps, inference tensors must not end up in buffers that the next backward pass reads.
        self.no_gradients = torch.no_grad if model.training else torch.inference_mode
        parameters = _parameters(model)
        self.takes_positions = "position_ids" in parameters
        # Mamba's name for a cache; what a model does not know by name, it would ignore.
        self.cache_name = "past_key_values" if "past_key_values" in parameters else "cache_params"
        self.extra = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}
        self.prefix: list[int] = []
        self._prefix_cache: DynamicCache | None = None

    def begin_with(self, prefix: list[int], shortest: int) -> None:
        """All prompts begin with these tokens, so they are read once. The shortest prompt has `shortest` tokens."""
        self.prefix = prefix

    def fits(self, rows: list[Row]) -> bool:
        """Decode the rows; False when memory ran out, with the rows as they were before."""
        try:
            with self.no_gradients():
                self._decode(rows)
        except RuntimeError as error:
            if not _is_out_of_memory(error):
                raise
        else:
            return True
        for row in rows:
            row.generated, row.terminated = [], False
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return False

    def completion(self, row: Row) -> Completion:
        ids = row.generated
        ended = bool(ids) and ids[-1] in self.ends
        text, _ = self.stop.cut(decode(self.tokenizer, ids[:-1] if ended else ids))
        return Completion(text, ids, row.terminated, "stop" if row.terminated else "length")

    def _decode(self, rows: list[Row]) -> None:
        cache = roomy_cache(self.model.config)
        logits, attention_mask = self._prefill(rows, cache)
        self._write(rows, logits, attention_mask, cache)

    def _write(
        self, rows: list[Row], logits: torch.Tensor, attention_mask: torch.Tensor, cache: DynamicCache
    ) -> None:
        """Go on from logits (rows, vocabulary), a token a step, until each row has ended or is as long as it may be."""
        if bool(
            logits.isnan().any()
        ):  # drawing from them would give one token for ever, or an error of indices
            raise RecipeError(
                "generation: the model's logits are not numbers",
                hint="its training diverged, or its dtype is too narrow: try `model.dtype: float32`",
            )
        width = attention_mask.shape[1]
        positions = attention_mask.sum(dim=-1, keepdim=True) - 1
        uniform = self._uniforms(rows)
        attention_mask = torch.nn.functional.pad(attention_mask, (0, self.sampling.max_new_tokens), value=1)
        batch = list(rows)
        for step in range(self.sampling.max_new_tokens):
            tokens = next_tokens(logits, self.sampling, None if uniform is None else uniform[:, step])
            for row, token in zip(batch, tokens.tolist(), strict=True):
                self._append(row, token)
            alive = [index for index, row in enumerate(batch) if not self._is_done(row)]
            if not alive:
                return
            tokens, positions = tokens.unsqueeze(1), positions + 1
            if len(alive) <= _COMPACT_BELOW * len(batch) and can_select(cache):
                keep = torch.tensor(alive, device=tokens.device)
                cache.batch_select_indices(keep)
                tokens, positions, attention_mask = tokens[keep], positions[keep], attention_mask[keep]
                uniform = None if uniform is None else uniform[keep]
                batch = [batch[index] for index in alive]
            logits = self._forward(batch, tokens, attention_mask[:, : width + step + 1], positions, cache)

    def _prefill(self, rows: list[Row], cache: DynamicCache) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (rows, vocabulary) after the prompts, and their mask. Samples of one prompt share its forward pass."""
        prompts = [tuple(row.prompt_ids) for row in rows]
        places = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
        if len(places) == len(rows) or not can_select(cache):
            return self._read(rows, prompts, cache)
        distinct = [rows[prompts.index(prompt)] for prompt in places]
        logits, mask = self._read(distinct, list(places), cache)
        expand = torch.tensor([places[prompt] for prompt in prompts], device=logits.device)
        cache.batch_select_indices(expand)
        return logits[expand], mask[expand]

    def _read(
        self, rows: list[Row], prompts: Sequence[tuple[int, ...]], cache: DynamicCache
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (rows, vocabulary) after one prompt a row, and their mask, which covers the whole cache."""
        begun = self._begin(cache, len(prompts))
        input_ids, mask = left_padded(
            [prompt[begun:] for prompt in prompts], self.tokenizer.pad_token_id, self.model.device
        )
        positions = begun + (mask.cumsum(dim=-1) - 1).clamp(min=0)
        mask = torch.nn.functional.pad(mask, (begun, 0), value=1)
        return self._forward(rows, input_ids, mask, positions, cache), mask

    def _begin(self, cache: DynamicCache, rows: int) -> int:
        """Fill in what all prompts begin with, which is computed once. Returns how many tokens that is."""
        if not self.prefix or not may_have_holes(self.model, cache):
            return 0
        if self._prefix_cache is None:
            first = roomy_cache(self.model.config)
            input_ids, mask = left_padded([self.prefix], 0, self.model.device)
            self._forward([], input_ids, mask, mask.cumsum(dim=-1) - 1, first)
            self._prefix_cache = first
        fill(cache, self._prefix_cache, rows)
        return len(self.prefix)

    def _forward(
        self,
        rows: list[Row],
        input_ids: torch.Tensor,
        mask: torch.Tensor,
        positions: torch.Tensor,
        cache: DynamicCache,
    ) -> torch.Tensor:
        """Logits (rows, vocabulary) after the input's last column. `rows` are whose it is; none for what all share."""
        arguments = {"position_ids": positions, **self.extra} if self.takes_positions else self.extra
        is_step = (
            self.cache_name == "cache_params" and input_ids.shape[1] == 1
        )  # takes a mask of its input only
        output = self.model(
            input_ids=input_ids,
            attention_mask=None if is_step else mask,
            use_cache=True,
            **{self.cache_name: cache},
            **arguments,
        )
        if is_empty(cache):  # the next token would be continued from nothing
            raise _keeps_its_state(self.model)
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _uniforms(self, rows: Sequence[Row]) -> torch.Tensor | None:
        """A random number for each row (rows, tokens) and each of its tokens; None for greedy decoding."""
        if self.sampling.temperature == 0:
            return None
        numbers = [
            uniforms(self.seed, row.request.prompt, row.request.sample, self.sampling.max_new_tokens)
            for row in rows
        ]
        return torch.stack(numbers).to(self.model.device)

    def _is_done(self, row: Row) -> bool:
        return row.terminated or len(row.generated) == self.sampling.max_new_tokens

    def _append(self, row: Row, token: int) -> None:
        if self._is_done(row):
            return
        row.generated.append(token)
        row.terminated = token in self.ends or self.stop.completed(row.generated)


def may_have_holes(model: Any, cache: DynamicCache) -> bool:
    """Whether columns without text between others change nothing: where a token is, its position alone says."""
    windows = model.config.model_type in _OWN_WINDOWS
    return "position_ids" in _parameters(model) and is_all_roomy(cache) and not windows


def left_padded(
    prompts: Sequence[Sequence[int]], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask (rows, columns), each prompt at the right end of its row."""
    width = max(map(len, prompts))
    ids = [[pad] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    attention_mask = torch.tensor(mask, device=device)
    # A row that ended in padding would be continued from a pad token; that error is silent, so it is asserted.
    assert bool(attention_mask[:, -1].all()), "padding must be on the left"
    return torch.tensor(ids, device=device), attention_mask


def _parameters(model: Any) -> Mapping[str, inspect.Parameter]:
    """What the model itself, without its adapter, takes."""
    forward = (model.get_base_model() if hasattr(model, "peft_config") else model).forward
    return inspect.signature(forward).parameters


def _keeps_its_state(model: Any) -> RecipeError:
    return RecipeError(
        f"generation: a `{model.config.model_type}` model keeps what it has read in no cache that can be held for it",
        hint="use a model with attention, or one of the Mamba family",
    )


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
