"""Differences of a mean over domains, each the mean of its tasks, each the mean of its questions.

A question's weight is that of its task among the tasks of its domain among the domains, over the number of questions of
its task; weighted shares then have the macro mean as their plain mean, and the paired statistics of `crossed` apply.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from engines.statistics.crossed import Difference, Table, paired


def macro_weights(tasks: Sequence[str], domains: Mapping[str, str]) -> list[float]:
    """A weight for each question, by its task; they have mean 1. `domains` has the domain of every task."""
    questions = Counter(tasks)
    of_domain = Counter(domains[task] for task in questions)
    each = len(tasks) / len(of_domain)
    return [each / (of_domain[domains[task]] * questions[task]) for task in tasks]


def macro_mean(shares: Sequence[float], weights: Sequence[float]) -> float:
    """The mean over domains."""
    return sum(share * weight for share, weight in zip(shares, weights, strict=True)) / len(weights)


def macro_difference(first: Table, second: Table, weights: Sequence[float]) -> Difference:
    """Second minus first in the mean over domains: tables of one row a seed and one column a question."""
    return paired(_weighted(first, weights), _weighted(second, weights))


def _weighted(table: Table, weights: Sequence[float]) -> list[list[float]]:
    # Weights that are all 1 but for rounding must leave right and wrong what they are: the exact test needs it.
    if all(abs(weight - 1) < 1e-9 for weight in weights):
        return [list(row) for row in table]
    return [[share * weight for share, weight in zip(row, weights, strict=True)] for row in table]
