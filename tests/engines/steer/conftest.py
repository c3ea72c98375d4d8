"""Tiny random models of seven families, and steerings for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMON = {
    "vocab_size": 512,
    "eos_token_id": 2,
    "pad_token_id": 3,
    "bos_token_id": None,
    "initializer_range": 0.3,
}
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2}
FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gpt2", "gptj", "falcon")


def build(family: str) -> Any:
    """A random model of the family, four blocks of 32 dimensions."""
    import torch
    import transformers as t

    grouped = {"num_key_value_heads": 1, "head_dim": 16}
    options: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "llama": (t.LlamaConfig, t.LlamaForCausalLM, {**SMALL, **grouped}),
        "qwen2": (t.Qwen2Config, t.Qwen2ForCausalLM, {**SMALL, "num_key_value_heads": 1}),
        "qwen3": (t.Qwen3Config, t.Qwen3ForCausalLM, {**SMALL, **grouped}),
        # Sliding windows in every other layer, narrower than the prompts.
        "gemma2": (t.Gemma2Config, t.Gemma2ForCausalLM, {**SMALL, **grouped, "sliding_window": 8}),
        "gpt2": (t.GPT2Config, t.GPT2LMHeadModel, {"n_embd": 32, "n_layer": 4, "n_head": 2}),
        "gptj": (t.GPTJConfig, t.GPTJForCausalLM, {"n_embd": 32, "n_layer": 4, "n_head": 2, "rotary_dim": 8}),
        "falcon": (
            t.FalconConfig,
            t.FalconForCausalLM,
            {key: SMALL[key] for key in ("hidden_size", "num_hidden_layers", "num_attention_heads")},
        ),
    }
    config, model, fields = options[family]
    torch.manual_seed(1)
    return model(config(**COMMON, **fields)).eval()


@pytest.fixture(scope="session")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model, padding_side="left")


@pytest.fixture(scope="session")
def family_model() -> Callable[[str], Any]:
    """Builds a family's model, each once."""
    built: dict[str, Any] = {}

    def get(family: str) -> Any:
        if family not in built:
            built[family] = build(family)
        return built[family]

    return get


@pytest.fixture(scope="session")
def steer() -> Callable[..., Any]:
    """Makes a steering along seeded random unit vectors; one unit of alpha is worth 1 unless `norm` says otherwise."""
    import torch

    from engines.steer.directions import directions

    def make(
        layers: list[int], alpha: float, seed: int = 0, size: int = 32, norm: float = 1.0, **fields: Any
    ) -> Any:
        generator = torch.Generator().manual_seed(seed)
        raw = torch.randn(len(layers), size, generator=generator)
        found = directions(fields.pop("site", "block_out"), "random", layers, raw, [norm] * len(layers))
        return found.steering(layers, alpha, **fields)

    return make
