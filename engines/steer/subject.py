"""The model under study with its questions and prompts: what every stage of the search works on."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from engines.generation.generator import Request
from engines.modeling.identity import weights_identity
from engines.modeling.loading import choose_device, load_model, load_tokenizer
from engines.prompts.rendering import render_prompt, resolve_prefill, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.run import Run
from engines.steer.directions import Steering
from engines.steer.draft import DraftingGenerator, why_not_exact
from engines.steer.fields import SteeringRecipe
from engines.steer.generate import SteeredGenerator
from engines.steer.journal import Tick
from engines.steer.splits import Splits, make_splits
from engines.tasks.example import Example
from engines.tasks.grading import VERSION
from engines.tasks.scored import ScoredExample, score

Wanted = tuple[Example, int, Steering | None]
"""A question, the number of the sample, and how the model is steered."""


@dataclass(eq=False)
class Subject:
    """A model that can be asked under any steering."""

    recipe: SteeringRecipe
    run: Run
    tokenizer: Any
    spec: PromptSpec
    """With its prefill resolved."""
    model: Any
    generator: SteeredGenerator
    splits: Splits
    identity: dict[str, Any]
    """Hashes of all that makes the model what it is."""
    drafts: dict[str, list[int]] = field(default_factory=dict)
    """The unsteered completion of each prompt in tokens: batches have rows of like length, and where drafts are exact,
    steered completions are read off them as far as they agree."""
    tick: Tick = lambda _share: None
    """How far the stage that runs is; raises where the job is to stop."""

    @property
    def asked(self) -> dict[str, Any]:
        """What all answers depend on beside question and steering."""
        return {
            "model": self.identity,
            "generator": self.generator.identity,
            "prompt": self.spec.hash(),
            "max_new_tokens": self.recipe.max_new_tokens,
            "grading": VERSION,
            "grader": self.recipe.grader,
        }

    def prompt(self, example: Example) -> str:
        return render_prompt(self.tokenizer, self.spec, example.question)

    def answers(
        self,
        wanted: Sequence[Wanted],
        sampling: SamplingBlock,
        put: Callable[[Example], str] | None = None,
        begun: str = "",
    ) -> Iterator[list[tuple[int, ScoredExample]]]:
        """Graded answers with their places, batch by batch in whatever order is fastest.

        `put` renders a question otherwise than the recipe does; `begun` is what every answer is made to begin with."""
        for _, _, steering in wanted:
            if steering is not None:
                self.generator.add(steering)
        ahead = len(token_ids(self.tokenizer, begun)) if begun else 0
        requests = [
            Request((put or self.prompt)(example) + begun, sample, "" if steering is None else steering.key)
            for example, sample, steering in wanted
        ]
        for batch in self.generator.stream(requests, sampling, self.spec.stop, self.run.seed):
            if sampling == self.recipe.greedy and put is None and not begun:
                for place, completion in batch:
                    if wanted[place][2] is None:
                        self.drafts[requests[place].prompt] = completion.token_ids
            yield [
                (
                    place,
                    score(
                        wanted[place][0],
                        wanted[place][1],
                        self.spec.prefill + begun + completion.text,
                        self.spec,
                        terminated=completion.terminated,
                        tokens=ahead + len(completion.token_ids),
                        count_tokens=lambda text: len(token_ids(self.tokenizer, text)),
                    ),
                )
                for place, completion in batch
            ]

    def correct(self, row: ScoredExample) -> bool:
        return bool(getattr(row, self.recipe.grader))


def open_subject(recipe: SteeringRecipe, run: Run) -> Subject:
    """Load the model and divide the questions."""
    tokenizer = load_tokenizer(recipe.model, run)
    model = load_model(recipe.model, run, tokenizer=tokenizer, device=choose_device(recipe.device)).eval()
    drafts: dict[str, list[int]] = {}
    return Subject(
        recipe=recipe,
        run=run,
        tokenizer=tokenizer,
        spec=resolve_prefill(tokenizer, recipe.prompt),
        model=model,
        generator=_generator(recipe, run, model, tokenizer, drafts),
        splits=make_splits(recipe.task, recipe.splits),
        identity=weights_identity(recipe.model, run, tokenizer) | {"torch": torch.__version__},
        drafts=drafts,
    )


def _generator(
    recipe: SteeringRecipe, run: Run, model: Any, tokenizer: Any, drafts: dict[str, list[int]]
) -> SteeredGenerator:
    """One that reads drafts where that is exact; the completions are the same, and so is what it is known by."""

    def length(prompt: str) -> float | None:
        return float(len(drafts[prompt])) if prompt in drafts else None

    why = why_not_exact(model) if recipe.drafts else None
    if why is not None:
        run.events.message(f"`drafts` are not used, as they would not be exact: {why}")
    if not recipe.drafts or why is not None:
        return SteeredGenerator(model, tokenizer, recipe.batch_size, expected_length=length)
    return DraftingGenerator(model, tokenizer, recipe.batch_size, drafts, expected_length=length)
