"""Batched generation with Hugging Face models: left-padded static batches, longest prompts first.

Our own decode loop instead of `model.generate`: it stops each row at its stop string, drops finished rows from the
batch, and samples from per-completion random numbers, so that results do not depend on the batch size.
"""

import inspect
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache

from engines.generation.completion import Completion
from engines.generation.sampling import next_tokens, uniforms
from engines.generation.stopping import StopStrings, decode
from engines.modeling.tokens import end_token_ids
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError

logger = logging.getLogger(__name__)

Finished = tuple[int, int, Completion]
"""Index of the prompt, index of its sample, and the completion."""

_COMPACT_BELOW = 0.8


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    sampling: SamplingBlock,
    stop: Sequence[str],
    seed: int,
    batch_size: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[list[Completion]]:
    """Completions as [prompt][sample], in the order of the prompts. `on_progress` is given completions done and in all."""
    results: list[dict[int, Completion]] = [{} for _ in prompts]
    done = 0
    for batch in stream(model, tokenizer, prompts, sampling, stop, seed, batch_size):
        for prompt, sample, completion in batch:
            results[prompt][sample] = completion
        done += len(batch)
        if on_progress is not None:
            on_progress(done, len(prompts) * sampling.num_samples)
    return [[samples[index] for index in range(sampling.num_samples)] for samples in results]


def stream(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    sampling: SamplingBlock,
    stop: Sequence[str],
    seed: int,
    batch_size: int,
) -> Iterator[list[Finished]]:
    """The same, batch by batch as they finish, in whatever order is fastest."""
    rows = _rows(tokenizer, prompts, sampling, seed)
    _check_lengths(model, rows, sampling)
    decoder = _Decoder(model, tokenizer, sampling, StopStrings(tokenizer, stop))
    with _evaluation_mode(model):
        while rows:
            if decoder.fits(rows[:batch_size]):
                yield [(row.prompt, row.sample, decoder.completion(row)) for row in rows[:batch_size]]
                rows = rows[batch_size:]
            elif batch_size == 1:
                raise RecipeError(
                    f"out of memory while generating for a single prompt of {len(rows[0].prompt_ids)} tokens",
                    hint="lower `sampling.max_new_tokens`, use `model.dtype: bfloat16`, or a smaller model",
                )
            else:
                batch_size = max(1, min(batch_size, len(rows)) // 2)
                logger.warning("out of memory: generating in batches of %d from here on", batch_size)


@dataclass(eq=False)
class _Row:
    """One completion in the making."""

    prompt: int
    sample: int
    prompt_ids: list[int]
    uniform: torch.Tensor | None
    generated: list[int] = field(default_factory=list)
    terminated: bool = False


def _rows(tokenizer: Any, prompts: Sequence[str], sampling: SamplingBlock, seed: int) -> list[_Row]:
    """One row for each completion, longest prompt first: little padding, and memory runs out at the start or never."""
    rows: list[_Row] = []
    seen: Counter[str] = Counter()
    ids = tokenizer(list(prompts), add_special_tokens=False)["input_ids"] if prompts else []
    for prompt, (text, prompt_ids) in enumerate(zip(prompts, ids, strict=True)):
        for sample in range(sampling.num_samples):
            uniform = None
            if sampling.temperature > 0:
                uniform = uniforms(seed, text, seen[text], sample, sampling.max_new_tokens)
            rows.append(_Row(prompt, sample, prompt_ids, uniform))
        seen[text] += 1
    return sorted(rows, key=lambda row: -len(row.prompt_ids))


def _check_lengths(model: Any, rows: list[_Row], sampling: SamplingBlock) -> None:
    if not rows:
        return
    if not rows[-1].prompt_ids:
        raise ValueError(f"prompt {rows[-1].prompt} is empty: there is nothing to continue")
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    longest = len(rows[0].prompt_ids)
    if limit is not None and longest + sampling.max_new_tokens > limit:
        raise RecipeError(
            f"sampling.max_new_tokens: {sampling.max_new_tokens} after a prompt of {longest} tokens "
            f"exceeds the model's context of {limit} tokens",
            hint=f"use `max_new_tokens` of at most {max(1, limit - longest)}",
        )


class _Decoder:
    """Decodes one batch of rows at a time."""

    def __init__(self, model: Any, tokenizer: Any, sampling: SamplingBlock, stop: StopStrings) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.sampling = sampling
        self.stop = stop
        self.ends = end_token_ids(tokenizer, model)
        # Between training steps, inference tensors must not end up in buffers that the next backward pass reads.
        self.no_gradients = torch.no_grad if model.training else torch.inference_mode
        forward = (model.get_base_model() if hasattr(model, "peft_config") else model).forward
        parameters = inspect.signature(forward).parameters
        self.takes_positions = "position_ids" in parameters
        self.extra = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    def fits(self, rows: list[_Row]) -> bool:
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

    def completion(self, row: _Row) -> Completion:
        ids = row.generated
        ended = bool(ids) and ids[-1] in self.ends
        text, _ = self.stop.cut(decode(self.tokenizer, ids[:-1] if ended else ids))
        return Completion(text, ids, row.terminated, "stop" if row.terminated else "length")

    def _decode(self, rows: list[_Row]) -> None:
        input_ids, attention_mask = _left_padded(rows, self.tokenizer.pad_token_id, self.model.device)
        positions = (attention_mask.cumsum(dim=-1) - 1).clamp(min=0)
        uniform = _stacked_uniforms(rows, self.model.device)
        cache = DynamicCache(config=self.model.config)
        width = input_ids.shape[1]
        attention_mask = torch.nn.functional.pad(attention_mask, (0, self.sampling.max_new_tokens), value=1)
        batch = list(rows)
        for step in range(self.sampling.max_new_tokens):
            logits = self._forward(input_ids, attention_mask[:, : width + step], positions, cache)
            tokens = next_tokens(logits, self.sampling, None if uniform is None else uniform[:, step])
            for row, token in zip(batch, tokens.tolist(), strict=True):
                self._append(row, token)
            alive = [index for index, row in enumerate(batch) if not row.terminated]
            if not alive:
                return
            input_ids, positions = tokens.unsqueeze(1), positions[:, -1:] + 1
            if len(alive) <= _COMPACT_BELOW * len(batch) and _can_shrink(cache):
                keep = torch.tensor(alive, device=input_ids.device)
                cache.batch_select_indices(keep)
                input_ids, positions, attention_mask = input_ids[keep], positions[keep], attention_mask[keep]
                uniform = None if uniform is None else uniform[keep]
                batch = [batch[index] for index in alive]

    def _forward(
        self, input_ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: DynamicCache
    ) -> torch.Tensor:
        arguments = {"position_ids": positions, **self.extra} if self.takes_positions else self.extra
        output = self.model(
            input_ids=input_ids, attention_mask=mask, past_key_values=cache, use_cache=True, **arguments
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _append(self, row: _Row, token: int) -> None:
        if row.terminated:
            return
        row.generated.append(token)
        row.terminated = token in self.ends or self.stop.completed(row.generated)


def _left_padded(rows: list[_Row], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(len(row.prompt_ids) for row in rows)
    padding = [width - len(row.prompt_ids) for row in rows]
    ids = [[pad] * missing + row.prompt_ids for missing, row in zip(padding, rows, strict=True)]
    mask = [[0] * missing + [1] * (width - missing) for missing in padding]
    attention_mask = torch.tensor(mask, device=device)
    # A row that ended in padding would be continued from a pad token; that error is silent, so it is asserted.
    assert bool(attention_mask[:, -1].all()), "padding must be on the left"
    return torch.tensor(ids, device=device), attention_mask


def _stacked_uniforms(rows: list[_Row], device: torch.device) -> torch.Tensor | None:
    numbers = [row.uniform for row in rows if row.uniform is not None]
    return torch.stack(numbers).to(device) if numbers else None


def _can_shrink(cache: DynamicCache) -> bool:
    """Recurrent layers (Mamba and kin) have no way to drop rows; their batches stay whole."""
    return all(hasattr(layer, "batch_select_indices") for layer in cache.layers)


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


@contextmanager
def _evaluation_mode(model: Any) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
