"""How likely a comparison is to show a difference that is there: the power of McNemar's exact test."""

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

from engines.statistics.intervals import mcnemar_exact


def mcnemar_power(n: int, gain: float, discordance: float, alpha: float = 0.05) -> float:
    """The chance that `n` paired questions show a true `gain` when a share of `discordance` of them ends differently.

    `gain` is the difference of the two accuracies, at most `discordance`. Exact: a sum over how many questions end
    differently (binomial) of the chance that the test is passed with so many, in favour of the better one.
    """
    if not 0 <= gain <= discordance <= 1:
        raise ValueError(
            f"0 <= gain <= discordance <= 1 must hold, but gain is {gain}, discordance {discordance}"
        )
    won = (1 + gain / discordance) / 2 if discordance else 0.5
    return math.fsum(
        chance * _tail(pairs, _needed(pairs, alpha), won)
        for pairs in range(n + 1)
        if (chance := _binomial(pairs, n, discordance)) > 1e-12
    )


def questions_needed(gain: float, spread: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """How many paired questions show a true `gain` with this chance; None where there is no gain to show.

    `spread` is the mean of the squared differences of a question: for right and wrong that is the share of questions
    that end differently. Connor's (1987) normal approximation for McNemar's test, with the continuity correction of one that the
    exact test asks for: within a few per cent of the exact number.
    """
    gain = abs(gain)
    if not 0 < gain <= 1 or spread < gain**2:
        return None
    normal = NormalDist()
    level, chance = normal.inv_cdf(1 - alpha / 2), normal.inv_cdf(power)
    plain = ((level * math.sqrt(spread) + chance * math.sqrt(max(spread - gain**2, 0.0))) / gain) ** 2
    return math.ceil(plain / 4 * (1 + math.sqrt(1 + 2 / (plain * gain))) ** 2)


def power_table(
    sizes: Sequence[int], gains: Sequence[float], discordances: Sequence[float]
) -> list[tuple[int, float, float, float]]:
    """(n, gain, discordance, power) for every combination in which the gain is possible."""
    return [
        (n, gain, discordance, mcnemar_power(n, gain, discordance))
        for n in sizes
        for discordance in discordances
        for gain in gains
        if gain <= discordance
    ]


@cache
def _needed(pairs: int, alpha: float) -> int:
    """The fewest wins among so many discordant pairs that pass the two-sided test; more than there are where none do."""
    low, high = pairs // 2, pairs + 1
    while low < high:
        middle = (low + high) // 2
        if 2 * middle > pairs and mcnemar_exact(pairs - middle, middle) <= alpha:
            high = middle
        else:
            low = middle + 1
    return low


def _tail(n: int, k: int, p: float) -> float:
    return math.fsum(_binomial(i, n, p) for i in range(k, n + 1))


def _binomial(k: int, n: int, p: float) -> float:
    if p in (0.0, 1.0):
        return float(k == n * p)
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log + k * math.log(p) + (n - k) * math.log1p(-p))
