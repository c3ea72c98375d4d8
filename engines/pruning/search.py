"""The search for a first right solution to each question: wave after wave of attempts at what is still unsolved."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines.generation.generator import Generator, Request
from engines.prompts.spec import PromptSpec
from engines.pruning.attempts import Attempt, Journal, judge_completion
from engines.pruning.hints import hinted_question
from engines.pruning.trace_fields import TracesRecipe
from engines.run import Run
from engines.tasks.example import Example
from engines.training.budget import Meter


@dataclass
class Search:
    """The attempts so far, and how to make more."""

    recipe: TracesRecipe
    run: Run
    spec: PromptSpec
    prompt: Callable[[str], str]
    journal: Journal
    meter: Meter
    attempts: dict[tuple[str, int, bool], Attempt] = field(default_factory=dict)
    solved: dict[str, Attempt] = field(default_factory=dict)
    """The solution of each question that has one; a hint does not take the place of the model's own."""

    def add(self, attempt: Attempt) -> None:
        self.attempts[attempt.key] = attempt
        if attempt.solved:
            self.solved.setdefault(attempt.id, attempt)

    def wave(self, generator: Generator, examples: Sequence[Example], number: int, *, hinted: bool) -> None:
        """One attempt at each question that is still unsolved and has not had this one."""
        keys = [(example.id, number, hinted) for example in examples]
        wanted = [
            example
            for example, key in zip(examples, keys, strict=True)
            if example.id not in self.solved and key not in self.attempts
        ]
        if not wanted or self._stops():
            return
        made = [self.attempts[key] for key in keys if key in self.attempts]
        tried, right = len(made), sum(attempt.solved for attempt in made)
        requests = [Request(self.prompt(self._question(example, hinted)), number - 1) for example in wanted]
        left = len(wanted)
        for batch in generator.stream(requests, self.recipe.sampling, self.spec.stop, self.run.seed):
            new = [judge_completion(wanted[index], number, hinted, made, self.spec) for index, made in batch]
            self.journal.append(new)
            for attempt in new:
                self.add(attempt)
            self.meter.save()
            tried, right, left = tried + len(new), right + sum(one.solved for one in new), left - len(new)
            values = {
                "solved": len(self.solved),
                "success_rate": len(self.solved) / len(examples),
                "wave": number + (self.recipe.max_attempts if hinted else 0),
                "wave_success_rate": right / tried,
            }
            self.run.events.metrics(len(self.attempts), values)
            self.run.events.progress(*self._progress(examples), unit="attempt")
            if left and self._stops():
                return

    def row(self, example: Example) -> dict[str, Any] | None:
        """The question's line of the file, or None where it is dropped."""
        found = self.solved.get(example.id)
        if found is None and self.recipe.fallback != "gold":
            return None
        reasoning = example.reasoning if found is None else found.reasoning
        source = "gold" if found is None else "rationalized" if found.hinted else "generated"
        return {
            "question": example.question,
            "answer": f"{reasoning}\n\n#### {example.answer}",
            "source": source,
            "id": example.id,
            "attempts": found.attempt if found and not found.hinted else self.recipe.max_attempts,
        }

    def _question(self, example: Example, hinted: bool) -> str:
        if not hinted:
            return example.question
        return hinted_question(self.recipe.hint, example.question, example.answer)

    def _stops(self) -> bool:
        self.run.stopped_early = self.run.stopped_early or self.run.stop_requested
        return self.run.stopped_early

    def _progress(self, examples: Sequence[Example]) -> tuple[int, int]:
        """Attempts that were made or are no longer needed, of all that there could be."""
        most = self.recipe.max_attempts
        own = [attempt for attempt in self.solved.values() if not attempt.hinted]
        spared = sum(most - attempt.attempt for attempt in own)
        hints = len(examples) - len(own) if self.recipe.fallback == "rationalize" else 0
        return len(self.attempts) + spared, len(examples) * most + hints
