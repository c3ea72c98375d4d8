"""Greedy accuracy on a few development examples while training: the curve that the loss cannot replace."""

from collections.abc import Sequence
from typing import Any

from engines.generation.generator import requests_for
from engines.generation.hf import HfGenerator
from engines.generation.together import complete_together
from engines.prompts.rendering import render_prompt
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.tasks.example import Example
from engines.tasks.grading import grade


def dev_accuracies(
    model: Any,
    tokenizer: Any,
    spec: PromptSpec,
    examples: Sequence[Example],
    max_new_tokens: int,
    batch_size: int = 32,
) -> dict[str, float]:
    """Share of the examples that greedy decoding gets right, in the right format and in any. All processes share the work."""
    prompts = [render_prompt(tokenizer, spec, example.question) for example in examples]
    sampling = SamplingBlock(max_new_tokens=max_new_tokens)
    generator = HfGenerator(model, tokenizer, batch_size)
    completions = complete_together(generator, requests_for(prompts, 1), sampling, spec.stop, seed=0)
    grades = [
        grade(spec.prefill + completion.text, example.answer, spec, completion.terminated)
        for example, completion in zip(examples, completions, strict=True)
    ]
    return {
        "dev_accuracy_strict": sum(verdict.strict for verdict in grades) / len(grades),
        "dev_accuracy_robust": sum(verdict.robust for verdict in grades) / len(grades),
    }
