"""Answers to the questions of a task, graded as they are generated."""

from collections.abc import Iterator, Sequence
from typing import Any

from engines.generation.generator import Generator, requests_for
from engines.prompts.rendering import render_prompt, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.tasks.example import Example
from engines.tasks.scored import ScoredExample, score


def scored_batches(
    generator: Generator,
    tokenizer: Any,
    spec: PromptSpec,
    examples: Sequence[Example],
    sampling: SamplingBlock,
    seed: int,
) -> Iterator[list[tuple[int, ScoredExample]]]:
    """`sampling.num_samples` answers to each example, in whatever order is fastest; sample s of example e has place
    e * num_samples + s. The spec must be the one whose prefill is resolved."""
    samples = sampling.num_samples
    prompts = [render_prompt(tokenizer, spec, example.question) for example in examples]
    for batch in generator.stream(requests_for(prompts, samples), sampling, spec.stop, seed):
        yield [
            (
                place,
                score(
                    examples[place // samples],
                    place % samples,
                    spec.prefill + completion.text,
                    spec,
                    terminated=completion.terminated,
                    tokens=len(completion.token_ids),
                    count_tokens=lambda text: len(token_ids(tokenizer, text)),
                ),
            )
            for place, completion in batch
        ]
