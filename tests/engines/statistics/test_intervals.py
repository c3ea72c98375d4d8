"""Intervals and tests against scipy and against simulation."""

import random

import pytest
from scipy import stats

from engines.statistics.intervals import (
    holm,
    mcnemar_exact,
    paired_bootstrap,
    paired_difference,
    wilson,
    wilson_clustered,
)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (777, 1319), (3, 100000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_wilson_equals_scipy(successes: int, n: int, confidence: float) -> None:
    theirs = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")

    assert wilson(successes, n, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_nothing_is_everything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 1), (5, 0), (10, 3), (40, 60), (500, 400), (0, 300)])
def test_mcnemar_equals_scipys_binomial_test(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0

    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_finds_a_difference_no_more_often_than_it_says_when_there_is_none() -> None:
    generator = random.Random(0)
    found = 0
    for _ in range(1000):
        b = sum(generator.random() < 0.1 for _ in range(200))
        c = sum(generator.random() < 0.1 for _ in range(200))
        found += mcnemar_exact(b, c) < 0.05

    assert found <= 60


def test_the_interval_of_a_paired_difference_covers_the_truth() -> None:
    generator = random.Random(1)
    covered = 0
    for _ in range(1000):
        draws = [generator.random() for _ in range(300)]
        only_first, only_second = sum(d < 0.1 for d in draws), sum(0.1 <= d < 0.3 for d in draws)
        low, high = paired_difference(only_first, only_second, 300)
        covered += low <= 0.1 <= high

    assert 930 <= covered <= 975


def test_the_bootstrap_sees_a_clear_difference_and_not_a_missing_one() -> None:
    generator = random.Random(2)
    clear = [generator.choice([0.25, 0.5, 0.0]) for _ in range(200)]
    none = [generator.choice([0.25, -0.25, 0.0]) for _ in range(200)]

    low, high, p = paired_bootstrap(clear)
    assert 0 < low < sum(clear) / 200 < high
    assert p < 0.01
    assert paired_bootstrap(none)[2] > 0.05


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.02], [0.02]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.001, 0.001], [0.002, 0.002]),
    ],
)
def test_holm_by_hand(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(p_values) == pytest.approx(adjusted)


@pytest.mark.parametrize(("alpha", "beta"), [(0.05, 1.0), (0.5, 0.5), (8.0, 8.0), (3.0, 0.2)])
def test_the_interval_of_several_samples_holds_the_truth_as_often_as_it_says(
    alpha: float, beta: float
) -> None:
    """Questions of differing difficulty, four samples of each."""
    draw = random.Random(5)
    truth, held = alpha / (alpha + beta), 0
    for _ in range(1000):
        difficulty = [draw.betavariate(alpha, beta) for _ in range(60)]
        shares = [sum(draw.random() < p for _ in range(4)) / 4 for p in difficulty]
        low, high = wilson_clustered(shares, 4)
        held += low <= truth <= high
    assert 0.93 <= held / 1000 <= 0.98
