"""Means over seeds and questions, with intervals for both: training runs differ, and so do questions.

Every seed's model answers the same questions, so that the table of shares x[seed][question] is crossed. Both factors
are random: x = mean + seed + question + rest. With the mean squares of the two-way analysis of variance (Cornfield and
Tukey 1956) the variance of the mean is estimated without bias by

    (MS_seeds + MS_questions - MS_rest) / (seeds * questions)

which is also what clustering by both ways gives (Cameron, Gelbach and Miller 2011). The part of the questions,
MS_questions - MS_rest, is taken as 0 where it is negative, and the whole as no less than the questions alone give.

A few seeds say little about how much seeds vary, and Satterthwaite's degrees of freedom are too many just when they
happen to agree (6 to 10 % false alarms at the 5 % level in simulations with two and three seeds). So the critical value
is Cochran and Cox's (1950) mean of the two factors' Student quantiles, weighted by their parts of the variance: it
keeps the level with two seeds already.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import mul, sub
from statistics import fmean

from engines.statistics.intervals import (
    mcnemar_exact,
    paired_bootstrap,
    paired_difference,
    score_interval,
    wilson,
    wilson_clustered,
)
from engines.statistics.student_t import critical_value, two_sided_p

LEVEL = 0.05
POWER = 0.8
FEW = 25
"""Below this number of questions that differ, normal theory is not trusted alone (the usual limit for McNemar's test)."""

_LEAST_P = 1e-300
"""Below this p is not told apart from 0."""

Table = Sequence[Sequence[float]]
"""One row a seed, one column a question; shares between 0 and 1, or differences of such shares."""


@dataclass(frozen=True)
class Mean:
    """A mean over seeds and questions with its 95 % interval."""

    value: float
    low: float
    high: float
    seeds: int
    n: int
    """Questions."""


@dataclass(frozen=True)
class Difference:
    """A mean of paired differences, second minus first, with its 95 % interval and the p value of no difference."""

    value: float
    low: float
    high: float
    p: float
    resolvable: float
    """The true difference that this many seeds and questions show at p < 0.05 four times out of five."""
    wins: int
    """Questions on which the second is right more often."""
    losses: int
    seeds: int
    n: int
    of_these: tuple[float, float, float] | None = None
    """Several seeds: interval and p value where only the questions are drawn at random, of these very models."""


@dataclass(frozen=True)
class Spread:
    """How uncertain the mean of a table is."""

    variance: float
    from_seeds: float
    """The part of the variance that is known from the seeds alone, 0 to 1."""
    dfs: tuple[float, float]
    """Degrees of freedom of the seeds and of the questions."""

    def critical(self, two_sided: float) -> float:
        """How many standard errors from the mean chance goes with that probability (Cochran and Cox 1950)."""
        shares = self.from_seeds, 1 - self.from_seeds
        return sum(
            share * critical_value(two_sided, df) for share, df in zip(shares, self.dfs, strict=True) if share
        )

    def p_value(self, value: float) -> float:
        """The probability whose critical value is that of `value`."""
        if not self.variance:
            return float(value == 0)
        t = abs(value) / math.sqrt(self.variance)
        ends = sorted(max(two_sided_p(t, df), _LEAST_P) for df in self.dfs)
        if self.from_seeds in (0.0, 1.0) or ends[1] / ends[0] < 1 + 1e-9:
            return two_sided_p(t, self.dfs[0] if self.from_seeds else self.dfs[1])
        return math.exp(_falling_root(lambda log_p: self.critical(math.exp(log_p)) - t, *map(math.log, ends)))

    @property
    def resolvable(self) -> float:
        """The minimal detectable difference: the quantiles of level and power, times the standard error."""
        return (self.critical(LEVEL) + self.critical(2 * (1 - POWER))) * math.sqrt(self.variance)


def _falling_root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function is 0, or the end that is nearest to it: the Illinois variant of regula falsi."""
    over, under, kept = function(low), function(high), 0
    if over <= 0:
        return low
    while high - low > 1e-7:
        middle = low + (high - low) * over / (over - under)
        value = function(middle)
        if abs(value) < 1e-8:
            return middle
        if value > 0:
            low, over, under, kept = middle, value, under / (2 if kept > 0 else 1), 1
        else:
            high, under, over, kept = middle, value, over / (2 if kept < 0 else 1), -1
    return high


def spread(table: Table) -> Spread:
    """The uncertainty of the mean over two or more seeds, as the module docstring has it."""
    seeds, questions = len(table), len(table[0])
    by_seed = [math.fsum(row) / questions for row in table]
    by_question = [sum(column) / seeds for column in zip(*table, strict=True)]
    mean = math.fsum(by_seed) / seeds
    of_seeds = questions * sum((value - mean) ** 2 for value in by_seed)
    # Sums of squares about 0, less those of the mean: exact enough for shares, and several times faster.
    of_mean = seeds * questions * mean**2
    of_questions = seeds * math.fsum(map(mul, by_question, by_question)) - of_mean
    total = sum(math.fsum(map(mul, row, row)) for row in table) - of_mean
    rest = total - of_seeds - of_questions
    # A single question has no spread of its own: then the seeds alone speak.
    more = max(questions - 1, 1)
    ms_seeds, ms_questions, ms_rest = (
        part / df if part > 1e-9 * total else 0.0  # what rounding leaves is nothing
        for part, df in ((of_seeds, seeds - 1), (of_questions, more), (rest, (seeds - 1) * more))
    )
    combined = max(ms_seeds + max(ms_questions - ms_rest, 0.0), ms_questions)
    share = ms_seeds / combined if combined else 0.0
    return Spread(combined / (seeds * questions), share, (seeds - 1, more))


def mean_over(table: Table, samples: int = 1) -> Mean:
    """The mean of shares, with Wilson's interval for as many independent answers as its variance says it is worth.

    That is the way of Korn and Graubard (1998) with Wilson's interval and the critical value above: it stays inside
    0 to 1 and does not shrink to nothing where all answers are alike. One seed: Wilson's interval over questions.
    `samples` are the completions behind each share.
    """
    seeds, n = len(table), len(table[0])
    value = math.fsum(map(math.fsum, table)) / (seeds * n)
    if seeds == 1:
        whole = all(share in (0.0, 1.0) for share in table[0])
        low, high = wilson(round(value * n), n) if whole else wilson_clustered(table[0], samples)
    elif not 0 < value < 1:
        # No spread to go by; and the seeds may all have led to the same model, so only questions count.
        low, high = wilson(round(value * n), n)
    else:
        known, most = spread(table), seeds * n * samples
        worth = min(value * (1 - value) / known.variance, most) if known.variance else most
        low, high = score_interval(value * worth, worth, known.critical(LEVEL))
    return Mean(value, low, high, seeds, n)


def paired(first: Table, second: Table) -> Difference:
    """Second minus first, on the same seeds and questions.

    One seed: McNemar's exact test with Bonett and Price's interval, or with several completions a question a
    permutation test with a bootstrap interval. Several seeds: the crossed table of differences.
    """
    table = [list(map(sub, after, before)) for before, after in zip(first, second, strict=True)]
    seeds, n = len(table), len(table[0])
    by_question = [sum(column) / seeds for column in zip(*table, strict=True)]
    value = math.fsum(by_question) / n
    wins = sum([difference > 1e-12 for difference in by_question])
    losses = sum([difference < -1e-12 for difference in by_question])
    exact = Spread(_discordance(wins, losses, n) / n, 0.0, (math.inf, math.inf))
    if seeds > 1:
        known = spread(table)
        p, half = known.p_value(value), known.critical(LEVEL) * math.sqrt(known.variance)
        low, high = max(value - half, -1.0), min(value + half, 1.0)
        if wins + losses < FEW or not known.variance:
            # Hardly a question differs, or all alike: the exact test over questions and its interval have a say too.
            p, wider = max(p, mcnemar_exact(losses, wins)), paired_difference(losses, wins, n)
            low, high = min(low, wider[0]), max(high, wider[1])
            known = max(known, exact, key=lambda spread: spread.resolvable)
    elif all(share in (0.0, 1.0) for row in (*first, *second) for share in row):
        known, p = exact, mcnemar_exact(losses, wins)
        low, high = paired_difference(losses, wins, n)
    else:
        low, high, p = paired_bootstrap(by_question)
        variance = max(fmean((difference - value) ** 2 for difference in by_question), 1 / (n + 2))
        known = Spread(variance / n, 0.0, exact.dfs)
    of_these = _over_questions(by_question) if seeds > 1 and n > 1 else None
    return Difference(value, low, high, p, known.resolvable, wins, losses, seeds, n, of_these)


def _over_questions(by_question: Sequence[float]) -> tuple[float, float, float] | None:
    """Student's interval and p for the mean of the questions' differences; None where that is too few to trust."""
    n, mean = len(by_question), fmean(by_question)
    if sum([abs(difference) > 1e-12 for difference in by_question]) < FEW:
        return None
    error = math.sqrt(math.fsum((difference - mean) ** 2 for difference in by_question) / (n * (n - 1)))
    half = critical_value(LEVEL, n - 1) * error
    return (
        max(mean - half, -1.0),
        min(mean + half, 1.0),
        two_sided_p(abs(mean) / error, n - 1) if error else 0.0,
    )


def _discordance(wins: int, losses: int, n: int) -> float:
    """The variance of one question's difference, with one win and one loss added, as Bonett and Price do."""
    more, less = (wins + 1) / (n + 2), (losses + 1) / (n + 2)
    return more + less - (more - less) ** 2
