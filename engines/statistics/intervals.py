"""Intervals for scores and tests for differences. Standard library only: the cockpit imports this too.

Items are the unit everywhere: two models are compared on the same questions, so the test is paired.
"""

import math
import random
from collections.abc import Sequence
from statistics import NormalDist, fmean, variance


def wilson(successes: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion (Wilson 1927). (0, 1) when `n` is 0."""
    return score_interval(successes, n, NormalDist().inv_cdf((1 + confidence) / 2))


def score_interval(successes: float, n: float, critical: float) -> tuple[float, float]:
    """Wilson's interval for a critical value: the normal quantile, or Student's where the variance is uncertain."""
    if n == 0:
        return 0.0, 1.0
    z, p, z2 = critical, successes / n, critical * critical
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # Rounding must not push the interval off a certain end.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def wilson_clustered(shares: Sequence[float], samples: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for the mean of shares, one a question, each of up to `samples` completions of it.

    The spread of the questions says how many independent completions theirs are worth. Unlike the normal interval
    it never shrinks to nothing, however few or equal the shares are.
    """
    n, mean = len(shares), fmean(shares)
    spread = variance(shares) if n > 1 else 1.0
    worth = n * mean * (1 - mean) / spread if spread else math.inf
    effective = min(max(worth, n), n * samples) if 0 < mean < 1 and n > 1 else n
    return wilson(mean * effective, effective, confidence)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's exact test (McNemar 1947): discordant pairs fall either way with probability 1/2."""
    n, k = only_first + only_second, min(only_first, only_second)
    if n == 0:
        return 1.0
    tail = ways = 1  # exact integers: C(n, 0), then each from the one before
    for i in range(k):
        ways = ways * (n - i) // (i + 1)
        tail += ways
    return float(min(1, 2 * tail / 2**n))


def paired_difference(
    only_first: int, only_second: int, n: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval for the difference of two paired proportions, second minus first (Bonett and Price 2012, adjusted Wald)."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = z * math.sqrt(max(0.0, first + second - (second - first) ** 2) / (n + 2))
    return max(-1.0, second - first - half), min(1.0, second - first + half)


def paired_bootstrap(
    differences: Sequence[float], *, seed: int = 0, resamples: int = 2000, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Percentile interval for the mean of paired differences, and a two-sided p from a sign-flip permutation test.

    For scores between 0 and 1 per item (several samples a question); with one sample McNemar's test is exact.
    """
    n = len(differences)
    if n == 0:
        return -1.0, 1.0, 1.0
    generator = random.Random(seed)
    means = sorted(fmean(generator.choices(differences, k=n)) for _ in range(resamples))
    tail = int((1 - confidence) / 2 * resamples)
    nonzero = [abs(difference) for difference in differences if difference]
    observed = abs(sum(differences))
    extreme = sum(
        abs(sum(value if generator.getrandbits(1) else -value for value in nonzero)) >= observed - 1e-12
        for _ in range(resamples)
    )
    return means[tail], means[-tail - 1], (extreme + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for looking at all of them (Holm 1979): the chance of any false alarm stays at the level."""
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = worst
    return adjusted
