"""What searching costs in certainty: giving up early on what is worse, and correcting the winner for having been picked."""

import random
from collections.abc import Sequence
from statistics import NormalDist, fmean

from engines.statistics.intervals import mcnemar_exact


def is_beaten(
    differences: Sequence[int], *, alpha: float = 0.01, first_look: int = 20, every: int = 10
) -> bool:
    """Whether a candidate can be given up after these questions: candidate minus best so far, -1, 0 or 1 a question.

    McNemar's exact test at `first_look` questions and then at `every` so many more, in one direction. With alpha 0.01
    about one candidate in thirty that is as good as the best is given up over 200 questions, and nearly all that are
    10 points worse (a Wilcoxon test at its usual 0.1 gives up one in five of the equal ones).
    """
    looked = len(differences)
    if looked < first_look or (looked - first_look) % every:
        return False
    worse, better = differences.count(-1), differences.count(1)
    return worse > better and mcnemar_exact(better, worse) / 2 <= alpha / 2


def max_t(differences: Sequence[Sequence[float]], *, seed: int = 0, resamples: int = 10_000) -> list[float]:
    """p of each candidate's mean gain over the baseline, corrected for having looked at all of them (Westfall, Young 1993).

    `differences` has a row a candidate and a column a question: candidate minus baseline. Without an effect a question's
    baseline and candidates could be exchanged, so all differences of a question change sign together; a candidate's p is
    how often the largest mean of all candidates then reaches its own. Candidates that are alike cost nothing extra.
    """
    if not differences:
        return []
    n = len(differences[0])
    columns = [column for column in zip(*differences, strict=True) if any(column)]
    observed = [fmean(row) for row in differences]
    draw = random.Random(seed)
    reached = [0] * len(differences)
    for _ in range(resamples):
        sums = [0.0] * len(differences)
        for column in columns:
            if draw.getrandbits(1):
                sums = [a + b for a, b in zip(sums, column, strict=True)]
            else:
                sums = [a - b for a, b in zip(sums, column, strict=True)]
        largest = max(sums) / n
        for index, mean in enumerate(observed):
            reached[index] += largest >= mean - 1e-12
    return [(count + 1) / (resamples + 1) for count in reached]


def bca_interval(
    differences: Sequence[float], *, seed: int = 0, resamples: int = 2000, confidence: float = 0.95
) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval for a mean over questions (Efron 1987).

    (m, m) where all differences are the same.
    """
    n, mean = len(differences), fmean(differences)
    if min(differences) == max(differences):
        return mean, mean
    draw, normal = random.Random(seed), NormalDist()
    means = sorted(fmean(draw.choices(differences, k=n)) for _ in range(resamples))
    below = sum(value < mean for value in means) + sum(value == mean for value in means) / 2
    bias = normal.inv_cdf(min(max(below / resamples, 1 / resamples), 1 - 1 / resamples))
    jackknife = [(mean * n - value) / (n - 1) for value in differences]
    centre = fmean(jackknife)
    cubes = sum((centre - value) ** 3 for value in jackknife)
    squares = sum((centre - value) ** 2 for value in jackknife)
    acceleration = cubes / (6 * squares**1.5) if squares else 0.0

    def bound(share: float) -> float:
        z = bias + normal.inv_cdf(share)
        place = normal.cdf(bias + z / (1 - acceleration * z))
        return means[min(max(int(place * resamples), 0), resamples - 1)]

    return bound((1 - confidence) / 2), bound((1 + confidence) / 2)
