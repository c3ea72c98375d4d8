"""From graded completions to scores: accuracy under every grader with its interval, format, length, and pass@k."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from engines.statistics.intervals import wilson, wilson_clustered
from engines.statistics.pass_at_k import majority_at_k, pass_at_k, powers_of_two
from engines.tasks.errors import contains
from engines.tasks.grading import GRADERS
from engines.tasks.scored import ScoredExample


@dataclass(frozen=True)
class Score:
    """One final figure; `fields` holds `n`, `low` and `high` for those that are shares."""

    name: str
    value: float
    fields: dict[str, float] = field(default_factory=dict)


SHARES: dict[str, Callable[[ScoredExample], bool]] = {
    "strict": lambda row: row.strict,
    "robust": lambda row: row.robust,
    "openai_strict": lambda row: row.openai_strict,
    "lm_eval_flexible": lambda row: row.lm_eval_flexible,
    "tpt_strict": lambda row: row.tpt_strict,
    "thinking": lambda row: row.thinking,
    "answered": lambda row: row.answered,
    "contains": lambda row: contains(row.completion, row.gold),
    "truncated": lambda row: not row.terminated,
}
assert set(GRADERS) <= set(SHARES)


def summarize(rows: Sequence[ScoredExample]) -> list[Score]:
    """All scores of an evaluation. Questions are the unit: several samples of one are no independent evidence."""
    questions = _by_question(rows)
    most = max(len(group) for group in questions)
    scores = [
        _share(name, [fmean(map(holds, group)) for group in questions], most)
        for name, holds in SHARES.items()
    ]
    values = {score.name: score.value for score in scores}
    lengths = sorted(row.tokens for row in rows)
    scores += [
        Score("format_gap", values["robust"] - values["strict"]),
        Score("mean_tokens", fmean(lengths)),
        Score("p50_tokens", _percentile(lengths, 50)),
        Score("p95_tokens", _percentile(lengths, 95)),
    ]
    samples = min(len(group) for group in questions)
    return scores + (_sampled(questions, samples) if samples > 1 else [])


def _by_question(rows: Sequence[ScoredExample]) -> list[list[ScoredExample]]:
    if not rows:
        raise ValueError("there is nothing to summarize")
    groups: dict[str, list[ScoredExample]] = {}
    for row in rows:
        groups.setdefault(row.example_id, []).append(row)
    return list(groups.values())


def _sampled(questions: list[list[ScoredExample]], samples: int) -> list[Score]:
    """What only several samples can tell, by the robust grader: format is the strict scores' business."""
    correct = [sum(row.robust for row in group) for group in questions]
    wrong = [_wrong_answers(group) for group in questions]
    sizes = [len(group) for group in questions]
    right_shares = [right / size for right, size in zip(correct, sizes, strict=True)]
    scores = [_share(f"avg@{samples}", right_shares, max(sizes))]
    for k in powers_of_two(samples):
        passed = [pass_at_k(size, right, k) for size, right in zip(sizes, correct, strict=True)]
        votes = [
            majority_at_k(size, right, bad, k) for size, right, bad in zip(sizes, correct, wrong, strict=True)
        ]
        scores += [_share(f"pass@{k}", passed, max(sizes)), _share(f"maj@{k}", votes, max(sizes))]
    return scores


def _wrong_answers(group: list[ScoredExample]) -> list[int]:
    """How often each wrong answer was given. What is no single number is not a vote."""
    answers = Counter(
        row.extracted for row in group if not row.robust and not row.ambiguous and row.extracted is not None
    )
    return list(answers.values())


def _share(name: str, per_question: list[float], samples: int) -> Score:
    """A mean over questions with its 95 % interval."""
    n, value = len(per_question), fmean(per_question)
    if all(share in (0.0, 1.0) for share in per_question):
        low, high = wilson(round(value * n), n)
    else:
        low, high = wilson_clustered(per_question, samples)
    return Score(name, value, {"n": n, "low": low, "high": high})


def _percentile(ordered: Sequence[int], percent: int) -> float:
    """The smallest value that at least this percentage does not exceed."""
    return float(ordered[max(0, -(-len(ordered) * percent // 100) - 1)])
