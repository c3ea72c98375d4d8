"""Tiny models of four families with random weights, and a stepped row written by hand."""

from typing import Any

import pytest


def rows(count: int = 3) -> list[Any]:
    """Rows of different lengths with 4, 2 and 3 steps behind prompts of 5 tokens and more."""
    import torch

    from engines.jepa.rows import Step, SteppedRow

    draw = torch.Generator().manual_seed(7)
    made = []
    for number in range(count):
        prompt, lengths = 5 + number, [[4, 3, 5, 2], [6, 4], [3, 3, 3]][number % 3]
        total = prompt + sum(lengths) + 2
        ids = torch.randint(5, 90, (total,), generator=draw).tolist()
        steps, start = [], prompt
        for length in lengths:
            steps.append(Step(start, start + length - 1, start + length))
            start += length
        labels = [-100] * prompt + ids[prompt:]
        made.append(SteppedRow(f"row-{number}", ids, labels, tuple(steps)))
    return made


@pytest.fixture
def stepped_rows_by_hand() -> list[Any]:
    return rows()


FAMILIES = ("llama", "qwen2", "qwen3", "gemma2")


@pytest.fixture(scope="session")
def make_lm() -> Any:
    """Makes a random causal model of a family with a vocabulary of 96, hidden size 32 and two layers."""

    def make(family: str, attention: str = "sdpa", **options: Any) -> Any:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        sizes = {
            "vocab_size": 96,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 256,
            "initializer_range": 0.3,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        }
        if family == "gemma2":
            sizes |= {"sliding_window": 6, "query_pre_attn_scalar": 8, "final_logit_softcapping": 5.0}
        if family == "mistral":
            sizes |= {"sliding_window": 6}
        torch.manual_seed(0)
        config = AutoConfig.for_model(family, **{**sizes, **options})
        return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()

    return make


@pytest.fixture(scope="session")
def make_model(make_lm: Any) -> Any:
    """The same together with a predictor."""

    def make(family: str, attention: str = "sdpa", predictors: int = 2, **options: Any) -> Any:
        from engines.jepa.fields import JepaBlock
        from engines.jepa.model import JepaModel
        from engines.jepa.predictor import make_predictor

        lm = make_lm(family, attention, **options)
        block = JepaBlock(predictors=predictors)
        return JepaModel(lm, make_predictor(block, lm.get_input_embeddings(), seed=3))

    return make
