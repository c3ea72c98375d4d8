"""From a name in a recipe to the functions that TRL calls, one for each part of the reward.

Beside its reward, each batch reports `acc_robust` (right anywhere) and `format_ok`, whatever the reward is made of.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from engines.prompts.spec import PromptSpec
from engines.rewards import legacy
from engines.rewards.block import RewardBlock
from engines.rewards.verifiable import reward, well_formed
from engines.tasks.grading import Grade, grade


@dataclass(frozen=True)
class Graded:
    """A completion with what rewards go by."""

    text: str
    """Prefill and generation together."""
    written_gold: str
    """The gold answer as the task's data has it, commas and all."""
    tokens: int
    terminated: bool
    verdict: Grade
    formatted: bool


class Part:
    """One part of the reward, as TRL calls it. A class at module level, so that it can be pickled."""

    def __init__(
        self,
        name: str,
        score: Callable[[Graded, float], float],
        spec: PromptSpec,
        min_reasoning_words: int,
        reports: bool,
    ) -> None:
        self.__name__ = name  # TRL names the metrics after it
        self._score = score
        self._spec = spec
        self._words = min_reasoning_words
        self._reports = reports

    def __call__(
        self,
        text: Sequence[str],
        answer: Sequence[str],
        written_answer: Sequence[str],
        terminated: Sequence[bool],
        completion_ids: Sequence[Sequence[int]],
        trainer_state: Any,
        log_extra: Callable[[str, list[Any]], None],
        log_metric: Callable[[str, float], None],
        **columns: Any,
    ) -> list[float]:
        graded = [
            self._graded(*row)
            for row in zip(text, answer, written_answer, terminated, map(len, completion_ids), strict=True)
        ]
        if self._reports:
            log_metric("acc_robust", sum(one.verdict.robust for one in graded) / len(graded))
            log_metric("format_ok", sum(one.formatted for one in graded) / len(graded))
            log_extra("id", list(columns["id"]))
            log_extra("extracted", [one.verdict.extracted for one in graded])
            log_extra("strict", [one.verdict.strict for one in graded])
        progress = trainer_state.global_step / max(1, trainer_state.max_steps)
        return [self._score(one, progress) for one in graded]

    def _graded(self, text: str, gold: str, written_gold: str, terminated: bool, tokens: int) -> Graded:
        verdict = grade(text, gold, self._spec, terminated)
        formatted = terminated and well_formed(text, self._spec, self._words)
        return Graded(text, written_gold, tokens, terminated, verdict, formatted)


def reward_parts(block: RewardBlock, spec: PromptSpec, end: str, max_completion_length: int) -> list[Part]:
    """The functions of a reward, the one that reports first. `end` is the text of the end-of-sequence token."""
    scores: dict[str, Callable[[Graded, float], float]] = {}
    if block.name == "verifiable":
        scores["verifiable"] = partial(_verifiable, block.format_anneal)
    else:
        points = legacy.legacy_set(block.name, spec, end)
        scores |= {part.__name__: partial(_legacy, points, part) for part in legacy.PARTS[block.name]}
    if block.missing_end_penalty:
        scores["missing_end"] = partial(_missing_end, block.missing_end_penalty)
    if block.soft_punish_cache:
        scores["overlong"] = partial(_overlong, max_completion_length, block.soft_punish_cache)
    assert tuple(scores) == block.parts
    return [
        Part(name, score, spec, block.min_reasoning_words, reports=place == 0)
        for place, (name, score) in enumerate(scores.items())
    ]


def _verifiable(format_anneal: float, one: Graded, progress: float) -> float:
    return reward(one.verdict, one.formatted, progress, format_anneal)


def _legacy(
    points: legacy.LegacySet,
    part: Callable[[legacy.LegacySet, str, str], float],
    one: Graded,
    progress: float,
) -> float:
    return part(points, one.text, one.written_gold)


def _missing_end(penalty: float, one: Graded, progress: float) -> float:
    return 0.0 if one.terminated else -penalty


def _overlong(longest: int, cache: int, one: Graded, progress: float) -> float:
    """DAPO's soft overlong punishment (arXiv 2503.14476, equation 13): down to -1 over the last `cache` tokens."""
    excess = one.tokens - (longest - cache)
    return 0.0 if excess <= 0 else -min(1.0, excess / cache)
