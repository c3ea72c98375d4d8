"""Generation with vLLM, in this process: paged attention, continuous batching, shared prefixes.

An adapter is served as it is, under a name that holds the hash of its weights: an adapter that is saved again in the
same place is another adapter. All requests of one stream use the same adapter: on CPUs, vLLM up to 0.32 answers
prompts without an adapter wrongly when they meet prompts with one in a batch.
"""

import json
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch

# Without a process of its own the engine starts in a third of the time and leaves no orphans; both are read on import.
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")

import vllm
from vllm.exceptions import VLLMValidationError
from vllm.lora.request import LoRARequest
from vllm.sampling_params import RequestOutputKind
from vllm.v1.attention.backends.cpu_attn import CPUAttentionBackend

from engines.generation.completion import Completion
from engines.generation.context import check_context, context_length
from engines.generation.generator import Finished, Request, check_unsteered
from engines.generation.sampling import derived_seed
from engines.generation.stopping import StopStrings, decode
from engines.generation.vllm_sampling import draw_once_a_token
from engines.modeling.sources import Source, weights_hash
from engines.modeling.tokens import end_token_ids
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError

DRAWING = 1
"""Raised with every change after which the same seed draws other tokens."""
_CPU_CACHE_BYTES = 1 << 30
_CPU_BATCH_TOKENS = 8192
_CONTEXT_STEP = 1024
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


class VllmGenerator:
    """vLLM's engine on a model and its adapter. It is built when the first prompts tell how much context they need."""

    def __init__(
        self,
        source: Source,
        dtype: str,
        tokenizer: Any,
        device: torch.device,
        gpu_memory_utilization: float,
        *,
        logprobs: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.identity = f"vllm {DRAWING} {vllm.__version__}"
        self._source = source
        self._tokenizer_files = source.tokenizer
        self._dtype = dtype
        self._on_cpu = device.type == "cpu"
        self._gpu_memory_utilization = gpu_memory_utilization
        self._logprobs = logprobs
        self._llm: Any = None
        self._adapter = _lora_request(source)

    def stream(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: Sequence[str], seed: int
    ) -> Iterator[list[Finished]]:
        """Completions as they finish; contiguous samples of a prompt are one request to vLLM, and finish together."""
        if not requests:
            return
        check_unsteered(requests)
        groups = _groups(requests)
        texts = [requests[group[0]].prompt for group in groups]
        prompts = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        engine = self._engine(prompts, sampling.max_new_tokens)
        ends = end_token_ids(self.tokenizer) | self._model_ends()
        for number, (group, ids) in enumerate(zip(groups, prompts, strict=True)):
            first = requests[group[0]]
            parameters = _parameters(sampling, stop, ends, len(group), logprobs=self._logprobs)
            if sampling.temperature > 0:  # vLLM draws sample i of a request with its seed + i
                parameters.seed = (derived_seed(seed, first.prompt) >> 1) + first.sample
            prompt = {"prompt_token_ids": ids}
            engine.add_request(str(number), prompt, parameters, lora_request=self._adapter)
        strings = StopStrings(self.tokenizer, stop)
        try:
            while engine.has_unfinished_requests():
                done = [output for output in engine.step() if output.finished]
                finished = [
                    (groups[int(output.request_id)][one.index], self._completion(one, strings, ends))
                    for output in done
                    for one in output.outputs
                ]
                if finished:
                    yield finished
        finally:
            engine.abort_request([str(number) for number in range(len(groups))])

    def close(self) -> None:
        self._llm = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _completion(self, output: Any, strings: StopStrings, ends: frozenset[int]) -> Completion:
        ids = list(output.token_ids)
        ended = bool(ids) and ids[-1] in ends
        text, _ = strings.cut(decode(self.tokenizer, ids[:-1] if ended else ids))
        stopped = output.finish_reason == "stop"
        logprobs = None
        if self._logprobs:
            logprobs = [chosen[token].logprob for token, chosen in zip(ids, output.logprobs, strict=True)]
        return Completion(text, ids, stopped, "stop" if stopped else "length", logprobs)

    def _engine(self, prompts: list[list[int]], max_new_tokens: int) -> Any:
        """The engine, with context for these prompts; built again when there are longer ones than before."""
        needed = max(map(len, prompts)) + max_new_tokens
        if self._llm is None or needed > self._llm.model_config.max_model_len:
            VllmGenerator.close(self)  # what a subclass keeps beside the engine stays
            self._llm = self._build(needed)
        check_context(prompts, self._llm.model_config.hf_config, max_new_tokens)
        return self._llm.llm_engine

    def _build(self, needed: int) -> Any:
        from transformers import AutoConfig

        source = self._source
        options: dict[str, Any] = {} if source.revision is None else {"revision": source.revision}
        config = AutoConfig.from_pretrained(source.weights, **options)
        limit = context_length(config)
        # A cache for the whole context of a long-context model may not fit, and short prompts do not need it.
        wanted = -(-needed // _CONTEXT_STEP) * _CONTEXT_STEP
        if self._on_cpu:
            _check_head_size(config.get_text_config())
            # A prompt that is read in two parts takes back a random number, which CPU generators cannot.
            options |= {
                "enable_chunked_prefill": False,
                "max_num_batched_tokens": max(wanted, _CPU_BATCH_TOKENS),
            }
            options |= {"enforce_eager": True, "kv_cache_memory_bytes": _CPU_CACHE_BYTES}
        else:
            options |= {"gpu_memory_utilization": self._gpu_memory_utilization}
        if self._adapter is not None:
            options |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": _rank(source)}
        if self._logprobs:
            options["logprobs_mode"] = "processed_logprobs"  # those of the distribution that is drawn from
        llm = vllm.LLM(
            model=source.weights,
            tokenizer=self._tokenizer_files,
            dtype=self._dtype,
            max_model_len=wanted if limit is None else min(wanted, limit),
            **options,
        )
        if self._on_cpu:
            draw_once_a_token(llm.llm_engine)
        return llm

    def _model_ends(self) -> frozenset[int]:
        named = self._llm.model_config.try_get_generation_config().get("eos_token_id")
        named = self._llm.model_config.hf_text_config.eos_token_id if named is None else named
        return frozenset(named if isinstance(named, list) else [] if named is None else [named])


def _groups(requests: Sequence[Request]) -> list[list[int]]:
    """Indices of the requests; each group holds samples of one prompt without a gap, in order."""
    order = sorted(range(len(requests)), key=lambda index: (requests[index].prompt, requests[index].sample))
    # Within a run of consecutive samples, sample number minus position is constant.
    runs = groupby(
        enumerate(order), key=lambda pair: (requests[pair[1]].prompt, requests[pair[1]].sample - pair[0])
    )
    return [[index for _, index in run] for _, run in runs]


def _parameters(
    sampling: SamplingBlock, stop: Sequence[str], ends: frozenset[int], samples: int, *, logprobs: bool
) -> Any:
    try:
        return vllm.SamplingParams(
            n=samples,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            max_tokens=sampling.max_new_tokens,
            stop=[text for text in stop if text] or None,
            stop_token_ids=sorted(ends),
            detokenize=bool(stop),
            skip_special_tokens=False,
            logprobs=0 if logprobs else None,  # none beside the token that was drawn
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
    except VLLMValidationError as error:
        raise RecipeError(f"sampling: {error}", hint="change it, or use `generation.backend: hf`") from error


def _check_head_size(config: Any) -> None:
    """On CPUs, vLLM has attention kernels for some sizes only, and finds out in the middle of the first step."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    known = CPUAttentionBackend.get_supported_head_sizes()
    if size not in known:
        raise RecipeError(
            f"generation.backend: on a CPU, vLLM cannot run attention heads of {size} dimensions "
            f"(it can: {', '.join(map(str, known))})",
            hint="use `backend: hf`",
        )


def _lora_request(source: Source) -> Any:
    if source.adapter is None:
        return None
    digest = weights_hash(source.adapter) or ""
    return LoRARequest(f"adapter-{digest[:16]}", int(digest[:7], 16) + 1, str(source.adapter))


def _rank(source: Source) -> int:
    """The smallest rank that vLLM knows and that holds the adapter's."""
    assert source.adapter is not None
    recorded = json.loads((source.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    rank = max([recorded["r"], *recorded.get("rank_pattern", {}).values()])
    return next((known for known in _LORA_RANKS if known >= rank), rank)
