"""One random number a token, for requests with a seed on a CPU.

vLLM draws a number for every word of the vocabulary from the generator of every such request, one request after the
other: with 16,000 words that takes more time than the model does.
"""

from typing import Any

import torch
from vllm.v1.sample.ops.topk_topp_sampler import apply_top_k_top_p

from engines.generation.sampling import inverse_cumulative


def draw_once_a_token(engine: Any) -> None:
    """Let this engine, which runs in this process, invert the cumulative distribution instead."""
    runner = engine.model_executor.driver_worker.worker.model_runner
    sampler = runner.sampler.topk_topp_sampler
    of_vllm = sampler.forward

    def forward(
        logits: torch.Tensor, generators: dict[int, torch.Generator], k: Any, p: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Tokens (rows,), and what `logprobs_mode` asks for, of logits (rows, vocabulary) divided by the temperature."""
        if len(generators) < len(
            logits
        ):  # rows without a seed, such as greedy ones, which the caller picks itself
            drawn: tuple[torch.Tensor, torch.Tensor | None] = of_vllm(logits, generators, k, p)
            return drawn
        logits = apply_top_k_top_p(logits, k, p)
        numbers = [
            torch.rand(1, generator=generators[row], dtype=torch.float64) for row in range(len(logits))
        ]
        tokens = inverse_cumulative(logits.softmax(dim=-1, dtype=torch.float32), torch.cat(numbers))
        kept = sampler.logprobs_mode == "processed_logprobs"
        return tokens, logits.log_softmax(dim=-1, dtype=torch.float32) if kept else None

    sampler.forward = forward
