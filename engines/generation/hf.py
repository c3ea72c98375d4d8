"""Batched generation with Hugging Face models: left-padded static batches, rows of like length together.

Our own decode loop instead of `model.generate`: it stops each row at its stop string, drops finished rows from the
batch, and samples from per-completion random numbers, so that results do not depend on the batch size.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers

from engines.generation.context import check_context
from engines.generation.decoding import Decoder, Row
from engines.generation.generator import Finished, Request, check_unsteered
from engines.generation.lengths import by_expected_length
from engines.generation.stopping import StopStrings
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError

logger = logging.getLogger(__name__)

DECODING = 3
"""Raised with every change after which the same seed draws other tokens."""
_WORTH_SHARING = 16
"""Tokens that prompts must begin with alike for them to be read once."""


class HfGenerator:
    """Generation with a model in memory, `batch_size` completions at a time. Each yields a batch as it is done."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        batch_size: int = 64,
        expected_length: Callable[[str], float | None] = lambda _prompt: None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.identity = f"hf {DECODING} transformers {transformers.__version__}"
        self._batch_size = batch_size
        self._expected_length = expected_length

    def stream(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: Sequence[str], seed: int
    ) -> Iterator[list[Finished]]:
        """Completions batch by batch, those first that are expected to be the longest."""
        rows = self._rows(requests)
        check_context([row.prompt_ids for row in rows], self.model.config, sampling.max_new_tokens)
        with self._decoder(requests, sampling, StopStrings(self.tokenizer, stop), seed) as decoder:
            yield from self._batches(decoder, rows)

    @contextmanager
    def _decoder(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: StopStrings, seed: int
    ) -> Iterator[Decoder]:
        """What decodes the batches of one stream, for as long as it lasts."""
        check_unsteered(requests)
        yield Decoder(self.model, self.tokenizer, sampling, stop, seed)

    def _batches(self, decoder: Decoder, rows: list[Row]) -> Iterator[list[Finished]]:
        prompts = [row.prompt_ids for row in rows]
        decoder.begin_with(_common_prefix(prompts), min(map(len, prompts), default=0))
        size = self._batch_size
        with _evaluation_mode(self.model):
            while rows:
                if decoder.fits(rows[:size]):
                    yield [(row.index, decoder.completion(row)) for row in rows[:size]]
                    rows = rows[size:]
                elif size == 1:
                    raise RecipeError(
                        f"out of memory while generating for a single prompt of {len(rows[0].prompt_ids)} tokens",
                        hint="lower `max_new_tokens`, use `model.dtype: bfloat16`, or a smaller model",
                    )
                else:
                    size = max(1, min(size, len(rows)) // 2)
                    logger.warning("out of memory: generating in batches of %d from here on", size)

    def close(self) -> None:
        self.model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _rows(self, requests: Sequence[Request]) -> list[Row]:
        prompts = list(dict.fromkeys(request.prompt for request in requests))
        encoded = self.tokenizer(prompts, add_special_tokens=False)["input_ids"] if prompts else []
        ids = dict(zip(prompts, encoded, strict=True))
        order = by_expected_length(requests, {text: len(ids[text]) for text in ids}, self._expected_length)
        return [Row(index, requests[index], ids[requests[index].prompt]) for index in order]


def _common_prefix(prompts: Sequence[list[int]]) -> list[int]:
    """What different prompts all begin with, such as a system message; nothing where that is too short to matter."""
    low, high = min(prompts, default=[]), max(prompts, default=[])
    length = next((place for place, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), 0)
    return low[:length] if length >= _WORTH_SHARING else []


@contextmanager
def _evaluation_mode(model: Any) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
