"""What a file of traces is: the statistics beside it, so that nobody has to take its quality on trust."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from engines.pruning.attempts import Attempt
from engines.pruning.overlap import distinct_share, share_within
from engines.tasks.example import Example


def trace_statistics(
    examples: Sequence[Example],
    attempts: Sequence[Attempt],
    sources: Mapping[str, str],
    max_attempts: int,
) -> dict[str, Any]:
    """The seed's six fields under its names, then ours. `sources` has each question's source; what has none was dropped.

    A question without success used all its attempts. A hinted attempt is no success of the model's own.
    """
    solved_at = {one.id: one.attempt for one in attempts if one.solved and not one.hinted}
    used = [solved_at.get(example.id, max_attempts) for example in examples]
    gold = {example.id: example.reasoning for example in examples}
    kept = [one for one in attempts if one.solved and _is_row(one, sources)]
    texts = [str(one.reasoning) for one in kept]
    return {
        "total_samples": len(examples),
        "grpo_successes": len(solved_at),
        "fallback_count": len(examples) - len(solved_at),
        "success_rate": len(solved_at) / len(examples),
        "avg_attempts_for_successes": fmean(solved_at.values()) if solved_at else 0.0,
        "avg_attempts_overall": fmean(used),
        "attempts": len(attempts),
        "attempt_histogram": {str(n): count for n, count in sorted(Counter(solved_at.values()).items())},
        "per_source": dict(
            sorted(Counter(sources.get(example.id, "dropped") for example in examples).items())
        ),
        "truncated": sum(not one.terminated for one in attempts),
        "format_failures": sum(one.terminated and not one.in_format for one in attempts),
        "ambiguous": sum(one.ambiguous for one in attempts),
        "mean_tokens": fmean(one.tokens for one in attempts) if attempts else 0.0,
        "generated_tokens": sum(one.tokens for one in attempts),
        "distinct_ratio": distinct_share(texts),
        "overlap_with_gold": fmean(share_within(str(one.reasoning), gold[one.id]) for one in kept)
        if kept
        else 0.0,
        "same_as_gold": sum(str(one.reasoning).split() == gold[one.id].split() for one in kept),
    }


def _is_row(attempt: Attempt, sources: Mapping[str, str]) -> bool:
    return sources.get(attempt.id) == ("rationalized" if attempt.hinted else "generated")
