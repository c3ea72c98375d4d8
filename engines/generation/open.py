"""Opening a generator: the model of a recipe on the back end that it names, behind the cache."""

from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import orjson
import torch

from engines.generation.cache import CachedGenerator
from engines.generation.generator import Generator
from engines.generation.lengths import LengthHistory
from engines.modeling.identity import weights_identity
from engines.modeling.loading import load_model
from engines.modeling.sources import resolve
from engines.recipe.blocks import GenerationBlock, ModelBlock, SteerableModelBlock
from engines.recipe.errors import RecipeError
from engines.run import Run


def open_generator(
    model: ModelBlock, generation: GenerationBlock, run: Run, *, tokenizer: Any, device: torch.device
) -> Generator:
    """The model of a recipe, ready to complete prompts. Whoever opens it closes it."""
    directory = (run.cache or run.dir / "cache") / "completions"
    with suppress(OSError):  # where nothing can be written, every batch says so and is not kept
        directory.mkdir(parents=True, exist_ok=True)
    history = LengthHistory(directory)
    inner = _open(model, generation, run, tokenizer, device, history)
    if not generation.cache:
        return inner
    parts = weights_identity(model, run, tokenizer) | {"backend": inner.identity, "device": device.type}
    identity = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS).decode()
    return CachedGenerator(inner, identity, directory, history)


def _open(
    model: ModelBlock,
    generation: GenerationBlock,
    run: Run,
    tokenizer: Any,
    device: torch.device,
    history: LengthHistory,
) -> Generator:
    steering = model.steering if isinstance(model, SteerableModelBlock) else None
    if steering is not None and generation.backend != "hf":
        raise RecipeError(
            f"model.steering: back end `{generation.backend}` cannot steer",
            hint="set `generation.backend: hf`",
        )
    if generation.backend == "vllm":
        check_vllm_is_installed("generation.backend")
        from engines.generation.vllm import VllmGenerator

        share = generation.gpu_memory_utilization
        return VllmGenerator(resolve(model, run), model.dtype, tokenizer, device, share)
    loaded = load_model(model, run, tokenizer=tokenizer, device=device)
    if generation.backend == "hf-continuous":
        from engines.generation.continuous import ContinuousGenerator

        return ContinuousGenerator(loaded, tokenizer, generation)
    if steering is not None:
        from engines.steer.generate import SteeredGenerator
        from engines.steer.vector_file import steering_for

        chosen = steering_for(steering, run, loaded)
        size = generation.batch_size
        return SteeredGenerator(loaded, tokenizer, size, default=chosen, expected_length=history.expected)
    from engines.generation.hf import HfGenerator

    return HfGenerator(loaded, tokenizer, generation.batch_size, expected_length=history.expected)


def check_vllm_is_installed(where: str) -> None:
    if find_spec("vllm") is None:
        raise RecipeError(
            f"{where}: vLLM is not installed here",
            hint="`pip install 'tunedeck[vllm]'`, or generate without it",
        )
