"""transformers' continuous batching: a finished completion makes room for the next at once, in a paged cache.

For CUDA; on a CPU it is slower than plain batches. Greedy completions are those of the other back ends. Sampled ones
depend on how the requests meet in a batch, so that a seed does not repeat them; the cache does.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from transformers import ContinuousBatchingConfig, GenerationConfig

from engines.generation.completion import Completion
from engines.generation.context import check_context
from engines.generation.generator import Finished, Request, check_unsteered
from engines.generation.kv_cache import can_select, roomy_cache
from engines.generation.sampling import derived_seed
from engines.generation.stopping import StopStrings, decode
from engines.modeling.tokens import end_token_ids
from engines.recipe.blocks import GenerationBlock, SamplingBlock
from engines.recipe.errors import RecipeError

_BLOCK_TOKENS = 32
"""Tokens of one page of the cache on a CPU, where the default of 256 wastes memory on short completions."""


class ContinuousGenerator:
    """Generation by the model's own continuous batching manager."""

    def __init__(self, model: Any, tokenizer: Any, generation: GenerationBlock) -> None:
        _check_can_be_paged(model)
        self.model = model
        self.tokenizer = tokenizer
        self.identity = f"hf-continuous transformers {transformers.__version__}"
        self._generation = generation
        self._ends = end_token_ids(tokenizer, model)

    def stream(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: Sequence[str], seed: int
    ) -> Iterator[list[Finished]]:
        """Completions one by one as they finish."""
        if not requests:
            return
        check_unsteered(requests)
        prompts = self.tokenizer([request.prompt for request in requests], add_special_tokens=False)[
            "input_ids"
        ]
        check_context(prompts, self.model.config, sampling.max_new_tokens)
        strings = StopStrings(self.tokenizer, stop)
        open_requests = set(range(len(requests)))
        with self._manager(prompts, requests, sampling, seed) as manager:
            while open_requests:
                output = manager.get_result(timeout=1)
                if output is None:
                    if not manager.is_running():
                        raise RuntimeError("continuous batching ended before all completions were done")
                    continue
                index = int(output.request_id)
                if (
                    index not in open_requests
                ):  # what was generated between the stop string and the cancellation
                    continue
                if output.error is not None:
                    raise RuntimeError(f"continuous batching failed: {output.error}")
                stopped = bool(output.generated_tokens) and strings.completed(output.generated_tokens)
                if output.is_finished() or stopped:
                    open_requests.discard(index)
                    if not output.is_finished():
                        manager.cancel_request(output.request_id)
                    yield [(index, self._completion(output.generated_tokens, strings, stopped))]

    def close(self) -> None:
        self.model = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _completion(self, ids: list[int], strings: StopStrings, stopped: bool) -> Completion:
        ended = ids[-1] in self._ends
        text, _ = strings.cut(decode(self.tokenizer, ids[:-1] if ended else ids))
        return Completion(text, ids, ended or stopped, "stop" if ended or stopped else "length")

    @contextmanager
    def _manager(
        self, prompts: list[list[int]], requests: Sequence[Request], sampling: SamplingBlock, seed: int
    ) -> Iterator[Any]:
        """A manager with all requests queued before the first step, so that batches fill the same way each time."""
        manager = self.model.init_continuous_batching(
            generation_config=self._generation_config(sampling),
            continuous_batching_config=self._batching(prompts, requests, sampling, seed),
        )
        for index, ids in enumerate(prompts):
            manager.add_request(ids, request_id=str(index), streaming=True, eos_token_id=sorted(self._ends))
        manager.start()
        try:
            yield manager
        finally:
            manager.stop(block=True, hard_stop=True)

    def _generation_config(self, sampling: SamplingBlock) -> GenerationConfig:
        greedy = sampling.temperature == 0
        drawing = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
        return GenerationConfig(
            max_new_tokens=sampling.max_new_tokens,
            do_sample=not greedy,
            eos_token_id=sorted(self._ends),
            pad_token_id=self.tokenizer.pad_token_id,
            **({} if greedy else drawing),
        )

    def _batching(
        self, prompts: list[list[int]], requests: Sequence[Request], sampling: SamplingBlock, seed: int
    ) -> ContinuousBatchingConfig:
        common = {
            "max_requests_per_batch": self._generation.batch_size,
            "seed": derived_seed(seed, requests[0].prompt, requests[0].sample) % 2**32,
        }
        if self.model.device.type == "cuda":
            return ContinuousBatchingConfig(
                max_memory_percent=self._generation.gpu_memory_utilization, **common
            )
        # Left to itself it takes most of the machine's memory.
        longest = max(map(len, prompts))
        pages = -(-(longest + sampling.max_new_tokens) // _BLOCK_TOKENS) + 1
        return ContinuousBatchingConfig(
            block_size=_BLOCK_TOKENS,
            num_blocks=pages * min(self._generation.batch_size, len(prompts)),
            max_batch_tokens=max(4 * longest, self._generation.batch_size),
            use_async_batching=False,
            use_cuda_graph=False,
            **common,
        )


def _check_can_be_paged(model: Any) -> None:
    """Attention of a model's own would not see the pages and answer at random (BLOOM does); states have no pages."""
    if not model.is_backend_compatible() or not can_select(roomy_cache(model.config)):
        raise RecipeError(
            f"generation.backend: a `{model.config.model_type}` model cannot be batched continuously by transformers",
            hint="use `backend: hf`",
        )
