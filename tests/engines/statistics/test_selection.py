import random
from statistics import fmean

import pytest

from engines.statistics.selection import bca_interval, is_beaten, max_t


def given_up(rate, discordance, draw, questions=200):
    """Whether and when a candidate that is `rate` worse is given up."""
    worse = (discordance + rate) / 2
    row = draw.choices([-1, 1, 0], weights=[worse, discordance - worse, 1 - discordance], k=questions)
    return next((n for n in range(1, questions + 1) if is_beaten(row[:n])), None)


def test_a_candidate_as_good_as_the_best_is_hardly_ever_given_up():
    draw = random.Random(1)
    assert fmean(given_up(0.0, 0.25, draw) is not None for _ in range(600)) <= 0.05


def test_a_much_worse_candidate_is_given_up_soon():
    draw = random.Random(2)
    found = [given_up(0.3, 0.4, draw) for _ in range(200)]
    assert all(n is not None for n in found)
    assert fmean(found) < 60


def test_looks_happen_at_fixed_numbers_of_questions_and_a_better_one_is_kept():
    assert is_beaten([-1] * 20)
    assert not is_beaten([-1] * 19)
    assert not is_beaten([-1] * 21)
    assert is_beaten([-1] * 30)
    assert not is_beaten([1] * 100)


def test_the_best_of_many_null_candidates_is_not_significant():
    draw = random.Random(3)
    false_alarms = 0
    for trial in range(40):
        rows = [draw.choices([-1, 0, 1], weights=[1, 4, 1], k=60) for _ in range(20)]
        false_alarms += min(max_t(rows, seed=trial, resamples=300)) <= 0.05
    assert false_alarms <= 6


def test_a_true_gain_survives_the_correction():
    draw = random.Random(4)
    rows = [draw.choices([-1, 0, 1], weights=[1, 4, 1], k=200) for _ in range(10)]
    rows.append(draw.choices([-1, 0, 1], weights=[0.3, 4, 1.7], k=200))
    p = max_t(rows, resamples=1000)
    assert p[-1] < 0.01
    assert min(p[:-1]) > 0.05


def test_copies_of_one_candidate_cost_nothing_extra():
    draw = random.Random(5)
    row = draw.choices([-1, 0, 1], weights=[1, 4, 2], k=100)
    assert max_t([row] * 30, resamples=500)[0] == max_t([row], resamples=500)[0]
    assert max_t([]) == []


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    draw = random.Random(6)
    covered = 0
    for trial in range(150):
        row = draw.choices([-1, 0, 1], weights=[5, 85, 10], k=150)
        low, high = bca_interval(row, seed=trial, resamples=400)
        covered += low <= 0.05 <= high
    assert covered / 150 == pytest.approx(0.95, abs=0.05)


def test_the_interval_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    draw = random.Random(7)
    row = [draw.expovariate(1.0) for _ in range(80)]
    expected = stats.bootstrap(
        (row,), fmean, vectorized=False, n_resamples=4000, random_state=0
    ).confidence_interval
    assert bca_interval(row, resamples=4000) == pytest.approx((expected.low, expected.high), abs=0.03)
    assert bca_interval([0.5] * 4) == (0.5, 0.5)
