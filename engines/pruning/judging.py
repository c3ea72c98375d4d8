"""How good a round is: the scores of its answers, and whether it is really better than another round."""

from collections.abc import Mapping, Sequence
from typing import Any

from engines.statistics.intervals import mcnemar_exact, paired_difference
from engines.tasks.scored import ScoredExample
from engines.tasks.summary import Score, summarize

PAIRED = ("strict", "robust")


def judged(
    greedy: Sequence[ScoredExample], sampled: Sequence[ScoredExample], dev: Sequence[ScoredExample]
) -> list[Score]:
    """Accuracy, format and length of the greedy answers; pass@k and votes of the sampled ones; accuracy on dev."""
    scores = summarize(greedy)
    if sampled:
        several = [score for score in summarize(sampled) if "@" in score.name]
        values = {score.name: score.value for score in several}
        most = max(int(name.partition("@")[2]) for name in values)
        scores += [*several, Score("maj_avg_gap", values[f"maj@{most}"] - values[f"avg@{most}"])]
    on_dev = {score.name: score for score in summarize(dev)}
    return scores + [Score(f"dev_{name}", on_dev[name].value, on_dev[name].fields) for name in PAIRED]


def against(before: Sequence[ScoredExample], now: Sequence[ScoredExample], grader: str) -> dict[str, float]:
    """The paired difference of two rounds on the same questions, one answer each, with McNemar's exact test."""
    was = {row.example_id: bool(getattr(row, grader)) for row in before}
    pairs = [(was[row.example_id], bool(getattr(row, grader))) for row in now]
    losses = sum(a and not b for a, b in pairs)
    wins = sum(b and not a for a, b in pairs)
    low, high = paired_difference(losses, wins, len(pairs))
    return {
        "difference": (wins - losses) / len(pairs),
        "low": low,
        "high": high,
        "p": mcnemar_exact(losses, wins),
        "wins": wins,
        "losses": losses,
        "n": len(pairs),
    }


def compared(
    scores: Sequence[Score], now: Sequence[ScoredExample], others: Mapping[str, Sequence[ScoredExample]]
) -> list[dict[str, Any]]:
    """The scores as they are written down; strict and robust accuracy with their differences to the other rounds."""
    return [
        {
            "name": score.name,
            "value": score.value,
            "fields": score.fields
            | {name: against(rows, now, score.name) for name, rows in others.items() if score.name in PAIRED},
        }
        for score in scores
    ]
