"""The difficulty filter: leave out questions that the starting model always or never solves, whose groups are dead.

Questions are drawn in the seed's order, so that what is kept is nested as the budgets are. Drawing costs completions
too: the questions that were drawn are reported beside those that are used.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.distributed.world import World
from engines.generation.append_only import append_lines, read_lines
from engines.generation.completion import Completion
from engines.generation.generator import Generator, requests_for
from engines.generation.together import complete_together
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.rewards.verifiable import correct, well_formed
from engines.run import Run
from engines.tasks.example import Example
from engines.tasks.grading import grade
from engines.training.budget import Meter
from engines.training.difficulty_block import DifficultyBlock

JOURNAL = "difficulty.jsonl"
"""One line a question: its id, and how many of its completions were right."""


Question = tuple[Example, str]
"""An example with its prompt."""


@dataclass(frozen=True)
class Filtered:
    """What is left to train on. Incomplete where the run was asked to stop."""

    kept: list[Question]
    drawn: int
    """Questions that were looked at to find these."""
    complete: bool


@dataclass(frozen=True)
class Prober:
    """Finds out how often the starting model solves a question."""

    generator: Generator
    sampling: SamplingBlock
    spec: PromptSpec
    seed: int
    meter: Meter
    min_reasoning_words: int = 1

    def solved(self, prompts: Sequence[str], examples: Sequence[Example], samples: int) -> list[int]:
        """How many of the completions of each question are right, in the right format."""
        requests = requests_for(prompts, samples)
        completions = complete_together(self.generator, requests, self.sampling, self.spec.stop, self.seed)
        by_question = {
            example.id: completions[place * samples : (place + 1) * samples]
            for place, example in enumerate(examples)
        }
        self.meter.generated({f"difficulty {name}": made for name, made in by_question.items()})
        right = [
            self._earns(completion, examples[place // samples])
            for place, completion in enumerate(completions)
        ]
        return [sum(right[start : start + samples]) for start in range(0, len(right), samples)]

    def _earns(self, completion: Completion, example: Example) -> bool:
        """By the rule of the reward, which asks for more than strict accuracy: else dead groups would pass the filter."""
        text = self.spec.prefill + completion.text
        formatted = completion.terminated and well_formed(text, self.spec, self.min_reasoning_words)
        return formatted and correct(grade(text, example.answer, self.spec, completion.terminated))


def keeps(rate: float, block: DifficultyBlock) -> bool:
    return 0 < rate < 1 and block.min_solve_rate <= rate <= block.max_solve_rate


def filter_by_difficulty(
    pool: Iterable[Question],
    count: int,
    block: DifficultyBlock,
    prober: Prober,
    run: Run,
    chunk: int = 32,
) -> Filtered:
    """The first `count` of the pool that are neither too easy nor too hard; the pool is read as far as that takes."""
    known = {entry["id"]: entry["solved"] for entry in read_lines(run.dir / JOURNAL)}
    kept: list[Question] = []
    drawn = 0
    world = World()
    waiting = iter(pool)
    while len(kept) < count and (part := list(itertools.islice(waiting, chunk))):
        if world.agree(run.stop_requested):
            return Filtered(kept, drawn, complete=False)
        for question, solved in _rates(part, known, block.samples, prober, run.dir / JOURNAL):
            if len(kept) < count:
                drawn += 1
                kept += [question] if keeps(solved / block.samples, block) else []
        run.events.progress(len(kept), count, "question")
    return Filtered(kept, drawn, complete=True)


def _rates(
    part: Sequence[Question], known: dict[str, int], samples: int, prober: Prober, journal: Path
) -> list[tuple[Question, int]]:
    """Right completions of each question of a part: from the journal, else generated and written there."""
    new = [(example, prompt) for example, prompt in part if example.id not in known]
    if new:
        solved = prober.solved([prompt for _, prompt in new], [example for example, _ in new], samples)
        fresh = {example.id: right for (example, _), right in zip(new, solved, strict=True)}
        if World().leads:
            append_lines(
                journal, ({"id": name, "solved": right, "samples": samples} for name, right in fresh.items())
            )
        known |= fresh
    return [(question, known[question[0].id]) for question in part]
