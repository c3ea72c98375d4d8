"""One graded completion with all that a person or a later grader needs to judge it again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from engines.prompts.spec import PromptSpec
from engines.tasks.example import Example
from engines.tasks.grading import GRADERS, Grade, grade


@dataclass(frozen=True)
class ScoredExample:
    """The fields of an `example` event."""

    example_id: str
    sample: int
    question: str
    gold: str
    gold_reasoning: str
    completion: str
    """Prefill and generation together: what was graded."""
    extracted: str | None
    method: str
    strict: bool
    robust: bool
    openai_strict: bool
    lm_eval_flexible: bool
    tpt_strict: bool
    ambiguous: bool
    terminated: bool
    tokens: int
    thinking_tokens: int
    thinking: bool
    answered: bool
    repeated_tag: bool

    @property
    def key(self) -> str:
        """The same in every attempt, so that a retry replaces what the first one wrote."""
        return f"{self.example_id}/{self.sample}"


def score(
    example: Example,
    sample: int,
    completion: str,
    spec: PromptSpec,
    *,
    terminated: bool,
    tokens: int,
    count_tokens: Callable[[str], int],
) -> ScoredExample:
    """Grade one completion, which is prefill and generation together."""
    verdict = grade(completion, example.answer, spec, terminated)
    return ScoredExample(
        example_id=example.id,
        sample=sample,
        question=example.question,
        gold=example.answer,
        gold_reasoning=example.reasoning,
        completion=completion,
        terminated=terminated,
        tokens=tokens,
        thinking_tokens=count_tokens(verdict.thinking) if verdict.thinking else 0,
        **_graded(verdict),
    )


def _graded(verdict: Grade) -> dict[str, Any]:
    """What of a scored example the grading decides."""
    return {
        **{grader: getattr(verdict, grader) for grader in GRADERS},
        "extracted": verdict.extracted,
        "method": verdict.method,
        "ambiguous": verdict.ambiguous,
        "thinking": verdict.thinking is not None,
        "answered": verdict.has_answer,
        "repeated_tag": verdict.repeated_tag,
    }


def regraded(stored: Mapping[str, Any], spec: PromptSpec) -> dict[str, Any]:
    """The fields of an `example` event with today's grades; fields of others stay. KeyError where one is missing.

    Only `thinking_tokens` stays as it was counted: no tokenizer is at hand.
    """
    verdict = grade(stored["completion"], stored["gold"], spec, stored["terminated"])
    return {**stored, **_graded(verdict)}


def from_fields(stored: Mapping[str, Any]) -> ScoredExample:
    """The scored example that the fields of an `example` event hold. KeyError where one is missing."""
    return ScoredExample(**{field.name: stored[field.name] for field in fields(ScoredExample)})
