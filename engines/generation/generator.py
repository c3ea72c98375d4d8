"""What every back end offers: completions for requests, batch by batch as they finish."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engines.generation.completion import Completion
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError

Finished = tuple[int, Completion]
"""Index of the request, and its completion."""


@dataclass(frozen=True)
class Request:
    """One completion that is wanted: the `sample`-th of a rendered prompt.

    A sampled completion depends on the seed, the prompt and the number of the sample alone, so that samples 0 to 3 are
    the first four of 0 to 7, whenever they are asked for.
    """

    prompt: str
    sample: int = 0
    steer: str = ""
    """Which steering, by its hash; nothing where the model is to answer as it is."""


class Generator(Protocol):
    """A model that completes prompts. `sampling.num_samples` is ignored: the requests say which samples are wanted."""

    @property
    def identity(self) -> str:
        """What completions depend on beside the request, as far as it knows: the back end and its version, the weights."""
        ...

    def stream(
        self, requests: Sequence[Request], sampling: SamplingBlock, stop: Sequence[str], seed: int
    ) -> Iterator[list[Finished]]:
        """Every request's completion, once each, in whatever order is fastest. Raises RecipeError for prompts that do not fit."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


def requests_for(prompts: Iterable[str], samples: int) -> list[Request]:
    """Samples 0 to `samples - 1` of every prompt; the request of sample s of prompt p stands at p * samples + s."""
    return [Request(prompt, sample) for prompt in prompts for sample in range(samples)]


def check_unsteered(requests: Iterable[Request]) -> None:
    """For back ends that would answer as if no steering had been asked for."""
    if any(request.steer for request in requests):
        raise RecipeError(
            "generation: this back end cannot steer",
            hint="use `generation.backend: hf` for steered completions",
        )


def complete(
    generator: Generator, requests: Sequence[Request], sampling: SamplingBlock, stop: Sequence[str], seed: int
) -> list[Completion]:
    """All completions, in the order of the requests."""
    finished: dict[int, Completion] = {}
    for batch in generator.stream(requests, sampling, stop, seed):
        finished.update(batch)
    return [finished[index] for index in range(len(requests))]
