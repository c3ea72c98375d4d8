"""Means and differences over seeds and questions: against brute force, and whether the intervals keep their word."""

import math
import random
from statistics import fmean

import pytest
import scipy.stats

from engines.statistics.crossed import Spread, mean_over, paired, spread
from engines.statistics.intervals import mcnemar_exact, paired_difference, wilson


def answers(generator: random.Random, seeds: int, ease: list[float], seed_sd: float) -> list[list[float]]:
    """Right or wrong answers of as many models, each as good as chance made it."""
    rows = []
    for _ in range(seeds):
        skill = generator.gauss(0, seed_sd)
        rows.append([float(generator.random() < 1 / (1 + math.exp(-skill - e))) for e in ease])
    return rows


def test_the_variance_is_the_one_of_the_analysis_of_variance() -> None:
    table = [[1.0, 0.0, 1.0, 1.0, 0.5], [0.0, 0.0, 1.0, 0.5, 0.5], [1.0, 0.5, 1.0, 1.0, 0.0]]
    rows, columns = [fmean(row) for row in table], [fmean(column) for column in zip(*table, strict=True)]
    grand = fmean(rows)
    ms_seeds = 5 * sum((r - grand) ** 2 for r in rows) / 2
    ms_questions = 3 * sum((c - grand) ** 2 for c in columns) / 4
    ms_rest = sum((table[i][j] - rows[i] - columns[j] + grand) ** 2 for i in range(3) for j in range(5)) / 8
    found = spread(table)

    assert ms_questions > ms_rest
    assert found.variance == pytest.approx((ms_seeds + ms_questions - ms_rest) / 15)
    assert found.from_seeds == pytest.approx(ms_seeds / (ms_seeds + ms_questions - ms_rest))


def test_seeds_that_alone_differ_make_a_t_test_over_them() -> None:
    first = [[0.1] * 40, [0.2] * 40, [0.15] * 40]
    second = [[0.4] * 40, [0.3] * 40, [0.5] * 40]
    expected = scipy.stats.ttest_rel([0.4, 0.3, 0.5], [0.1, 0.2, 0.15])
    found = paired(first, second)
    interval = expected.confidence_interval()

    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_seeds_that_agree_make_a_t_test_over_questions() -> None:
    generator = random.Random(1)
    row = [generator.choice([-1.0, 0.0, 1.0, 1.0]) for _ in range(200)]
    expected = scipy.stats.ttest_1samp(row, 0.0)
    found = paired([[0.0] * 200] * 3, [row] * 3)

    assert (found.p, found.value) == (pytest.approx(expected.pvalue), pytest.approx(fmean(row)))


def test_the_p_value_is_where_the_interval_begins_to_hold_zero() -> None:
    known = Spread(0.01, 0.4, (2, 300))
    for value in (0.05, 0.21, 0.3, 0.9, 3.0):
        p = known.p_value(value)
        assert known.critical(p) * 0.1 == pytest.approx(value, rel=1e-5)
        assert known.p_value(-value) == p


@pytest.mark.parametrize("share", [0.0, 1e-12, 0.1, 0.9, 1.0])
def test_no_p_value_is_out_of_reach(share: float) -> None:
    known = Spread(1.0, share, (1, math.inf))
    found = [known.p_value(10.0**exponent) for exponent in range(-8, 9)]

    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(1.0) and 0 <= found[-1] < 1e-7


def test_one_seed_is_judged_by_the_exact_test() -> None:
    first, second = [[0.0] * 12 + [1.0] * 30], [[1.0] * 10 + [0.0] * 4 + [1.0] * 28]
    found = paired(first, second)

    assert (found.wins, found.losses, found.seeds, found.n) == (10, 2, 1, 42)
    assert found.p == mcnemar_exact(2, 10)
    assert (found.low, found.high) == paired_difference(2, 10, 42)
    assert mean_over(first).low == wilson(30, 42)[0]


def test_several_completions_of_one_seed_are_judged_by_permutation() -> None:
    first, second = [[0.25, 0.5, 0.0, 0.75] * 20], [[0.5, 0.75, 0.25, 1.0] * 20]
    found = paired(first, second)

    assert found.p < 0.01
    assert found.low <= found.value == 0.25 <= found.high
    assert found.resolvable > 0


@pytest.mark.parametrize("seeds", [1, 3])
def test_no_difference_at_all_is_no_certainty(seeds: int) -> None:
    rows = [[1.0, 0.0] * 100] * seeds
    found = paired(rows, rows)

    assert (found.value, found.p, found.wins, found.losses) == (0.0, 1.0, 0, 0)
    assert found.low < -0.005 < 0.005 < found.high
    assert 0.005 < found.resolvable < 0.1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_answers_that_are_all_alike_leave_the_interval_of_the_questions(share: float) -> None:
    found = mean_over([[share] * 50] * 3)

    assert (found.low, found.high) == wilson(share * 50, 50)


def test_a_handful_of_differing_questions_is_left_to_the_exact_test() -> None:
    none = [[0.0] * 100 for _ in range(3)]
    each_another = [[0.0] * 100 for _ in range(3)]
    for seed in range(3):
        each_another[seed][seed] = 1.0
    found = paired(none, each_another)

    assert found.p == mcnemar_exact(0, 3) == 0.25
    assert found.low < 0 < found.high


def test_differences_that_are_all_alike_are_no_certainty_either() -> None:
    found = paired([[0.0] * 40] * 3, [[1.0] * 40] * 3)

    assert found.p == mcnemar_exact(0, 40) > 0
    assert found.low < 0.95 < found.high == 1.0


def test_one_question_leaves_the_seeds_to_speak() -> None:
    found = mean_over([[1.0], [0.0], [1.0]])

    assert 0 < found.low < 2 / 3 < found.high < 1


@pytest.mark.parametrize(("seeds", "seed_sd"), [(2, 0.0), (2, 0.3), (3, 0.0), (3, 0.2), (3, 0.5)])
def test_the_intervals_cover_and_the_test_keeps_its_level(seeds: int, seed_sd: float) -> None:
    generator = random.Random(f"{seeds} {seed_sd}")
    truth = fmean(1 / (1 + math.exp(-generator.gauss(0.5, math.hypot(1.5, seed_sd)))) for _ in range(50_000))
    covered = alarms = 0
    repeats, questions = 250, 60
    for _ in range(repeats):
        ease = [generator.gauss(0.5, 1.5) for _ in range(questions)]
        first, second = (answers(generator, seeds, ease, seed_sd) for _ in range(2))
        mean, difference = mean_over(first), paired(first, second)
        covered += mean.low <= truth <= mean.high
        alarms += difference.p < 0.05

    assert covered / repeats > 0.93
    assert alarms / repeats < 0.07


def test_models_of_few_seeds_can_differ_where_other_seeds_may_not() -> None:
    generator = random.Random(3)
    first = [[float(generator.random() < 0.2) for _ in range(300)] for _ in range(2)]
    second = [[float(generator.random() < share) for _ in range(300)] for share in (0.35, 0.6)]
    found = paired(first, second)
    by_question = [sum(b) / 2 - sum(a) / 2 for a, b in zip(zip(*first), zip(*second), strict=True)]  # noqa: B905
    expected = scipy.stats.ttest_1samp(by_question, 0.0)
    interval = expected.confidence_interval()

    assert found.p > 0.05 > 1e-6 > expected.pvalue
    assert found.of_these == (
        pytest.approx(interval.low),
        pytest.approx(interval.high),
        pytest.approx(expected.pvalue, rel=1e-6),
    )


def test_one_seed_or_hardly_a_difference_has_no_second_interval() -> None:
    many = [[float(index % 3 == 0) for index in range(300)]]
    few = [[0.0] * 300, [1.0] * 5 + [0.0] * 295]

    assert paired([[0.0] * 300], many).of_these is None
    assert paired([[0.0] * 300] * 2, few).of_these is None
