"""Does a model that learns from itself still have more than one way? What its samples say about that."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from engines.prompts.spec import PromptSpec
from engines.pruning.selection import skeleton
from engines.statistics.pass_at_k import majority_at_k, pass_at_k, powers_of_two
from engines.tasks.grading import grade
from engines.tasks.scored import ScoredExample


def think_statistics(rows: Sequence[ScoredExample], grader: str, spec: PromptSpec) -> dict[str, float]:
    """Figures about the samples of one round, means over questions; right is what the grader calls right.

    distinct         different skeletons of a question's samples, as a share of the samples
    distinct_right   different skeletons of a question's right samples, over questions that have any
    pass@k           the chance of a right one among k
    maj_avg_gap      majority vote minus single samples: nothing to gain by voting when all samples are alike
    """
    groups: dict[str, list[ScoredExample]] = {}
    for row in rows:
        groups.setdefault(row.example_id, []).append(row)
    samples = min(map(len, groups.values()))
    right = {key: [row for row in group if getattr(row, grader)] for key, group in groups.items()}
    skeletons = {key: [_skeleton(row, spec) for row in group] for key, group in groups.items()}
    of_right = [len({_skeleton(row, spec) for row in group}) for group in right.values() if group]
    figures = {
        "distinct": fmean(len(set(group)) / len(group) for group in skeletons.values()),
        "distinct_right": fmean(of_right) if of_right else 0.0,
        "solved": fmean(bool(group) for group in right.values()),
        "truncated": fmean(not row.terminated for row in rows),
    }
    for k in powers_of_two(samples):
        figures[f"pass@{k}"] = fmean(pass_at_k(len(groups[key]), len(right[key]), k) for key in groups)
    votes = [
        majority_at_k(len(groups[key]), len(right[key]), _wrong(groups[key], grader), samples)
        for key in groups
    ]
    return figures | {"maj_avg_gap": fmean(votes) - figures["pass@1"]}


def falls(dev: Mapping[int, float], delta: float) -> list[int]:
    """Rounds whose accuracy is below that of the round before by more than `delta`."""
    return [t for before, t in pairwise(sorted(dev)) if dev[t] < dev[before] - delta]


def narrowing(
    before: Mapping[str, float],
    now: Mapping[str, float],
    max_pass_drop: float | None,
    max_distinct_drop: float | None,
) -> str | None:
    """In words, what the samples of this round lost against those of the round before, where it is too much."""
    most = max(int(name.partition("@")[2]) for name in now if name.startswith("pass@"))
    for name, limit in ((f"pass@{most}", max_pass_drop), ("distinct", max_distinct_drop)):
        if limit is not None and now[name] < before[name] - limit:
            return f"{name} of the training questions fell from {before[name]:.1%} to {now[name]:.1%}"
    return None


def _skeleton(row: ScoredExample, spec: PromptSpec) -> str:
    return skeleton(grade(row.completion, row.gold, spec, row.terminated).thinking or row.completion)


def _wrong(group: Sequence[ScoredExample], grader: str) -> list[int]:
    said = Counter(
        row.extracted
        for row in group
        if not getattr(row, grader) and not row.ambiguous and row.extracted is not None
    )
    return list(said.values())
