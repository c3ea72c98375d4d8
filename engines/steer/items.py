"""One answer of one configuration, as the files of the search hold it, and what a set of them says beside the unsteered."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from engines.statistics.intervals import mcnemar_exact, paired_difference
from engines.statistics.selection import bca_interval, is_beaten
from engines.steer.fields import ConstraintsBlock
from engines.tasks.scored import ScoredExample

Item = dict[str, Any]
"""id, correct, strict, extracted, terminated, repeats, tokens, diverges, completion."""

_WORD = re.compile(r"\w+|[^\w\s]")
_GRAM = 4


def item(row: ScoredExample, correct: bool, unsteered: str | None) -> Item:
    """`diverges` is the first character that differs from the unsteered completion; null where none does."""
    return {
        "id": row.example_id,
        "correct": correct,
        "strict": row.strict,
        "extracted": row.extracted,
        "terminated": row.terminated,
        "repeats": repeats(row.completion),
        "tokens": row.tokens,
        "diverges": None if unsteered is None else _diverges(row.completion, unsteered),
        "completion": row.completion,
    }


def repeats(text: str) -> bool:
    """Whether fewer than half of the runs of four words, of a text with a dozen or more, are different ones."""
    words = _WORD.findall(text)
    grams = list(zip(*(words[start:] for start in range(_GRAM)), strict=False))
    return len(words) >= 12 and 2 * len(set(grams)) < len(grams)


def _diverges(text: str, other: str) -> int | None:
    if text == other:
        return None
    pairs = zip(text, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(text), len(other)))


def differences(items: Sequence[Item], unsteered: Sequence[Item]) -> list[int]:
    """Steered minus unsteered on the first questions, as many as there are items: -1, 0 or 1."""
    return [int(one["correct"]) - int(base["correct"]) for one, base in zip(items, unsteered, strict=False)]


def beaten_at(found: Sequence[int]) -> int | None:
    """After how many questions the unsteered model had proved better, by McNemar's test at its fixed looks."""
    return next((n for n in range(1, len(found) + 1) if is_beaten(found[:n])), None)


def breaches(items: Sequence[Item], unsteered: Sequence[Item], allowed: ConstraintsBlock) -> dict[str, float]:
    """By how much each constraint is broken; 0 or less where it is kept. On the same questions."""
    base = unsteered[: len(items)]
    ratio = median(row["tokens"] for row in items) / max(1, median(row["tokens"] for row in base))
    low, high = allowed.length_ratio
    return {
        "truncation": _rise(items, base, lambda row: not row["terminated"]) - allowed.truncation,
        "repetition": _rise(items, base, lambda row: row["repeats"]) - allowed.repetition,
        "length": max(low - ratio, ratio - high),
    }


def _rise(items: Sequence[Item], base: Sequence[Item], holds: Any) -> float:
    return fmean(map(holds, items)) - fmean(map(holds, base))


@dataclass(frozen=True)
class Comparison:
    """A configuration beside the unsteered model on the same questions."""

    n: int
    accuracy: float
    unsteered: float
    gain: float
    low: float
    high: float
    """95 % interval of the gain (BCa bootstrap over questions)."""
    p: float
    """McNemar's exact test, two-sided."""
    fixed: int
    """Wrong without steering, right with it."""
    broken: int
    """Right without steering, wrong with it."""
    changed: int
    """Completions that differ at all."""
    truncated: float
    repeats: float
    median_tokens: float

    def record(self) -> dict[str, Any]:
        return asdict(self)


def compare(items: Sequence[Item], unsteered: Sequence[Item], seed: int = 0) -> Comparison:
    """Figures of a configuration on all questions of a part."""
    found = differences(items, unsteered)
    fixed, broken = found.count(1), found.count(-1)
    low, high = bca_interval(found, seed=seed)
    return Comparison(
        n=len(found),
        accuracy=fmean(row["correct"] for row in items),
        unsteered=fmean(row["correct"] for row in unsteered),
        gain=fmean(found),
        low=low,
        high=high,
        p=mcnemar_exact(broken, fixed),
        fixed=fixed,
        broken=broken,
        changed=sum(row["diverges"] is not None for row in items),
        truncated=fmean(not row["terminated"] for row in items),
        repeats=fmean(row["repeats"] for row in items),
        median_tokens=float(median(row["tokens"] for row in items)),
    )


def sure_gain(items: Sequence[Item], unsteered: Sequence[Item], candidates: int, seed: int = 0) -> float:
    """Lower bound of the gain at 95 % for all of so many candidates together (Bonferroni).

    The lower of a bootstrap and a closed interval: with few flips the bootstrap never draws none of them."""
    found = differences(items, unsteered)
    if not any(found):
        return 0.0
    confidence = 1 - 0.05 / max(1, candidates)
    low, _ = bca_interval(found, seed=seed, resamples=10_000, confidence=confidence)
    closed, _ = paired_difference(found.count(-1), found.count(1), len(found), confidence)
    return min(low, closed)
