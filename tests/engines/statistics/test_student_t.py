"""Student's t against scipy."""

import math

import pytest
import scipy.special
import scipy.stats

from engines.statistics.student_t import critical_value, incomplete_beta, two_sided_p

DEGREES = [0.5, 1, 1.5, 2, 3, 7.7, 30, 1318, 12345.6]


@pytest.mark.parametrize("df", DEGREES)
def test_critical_values_are_those_of_scipy(df: float) -> None:
    for p in (1e-20, 1e-9, 0.001, 0.05, 0.3, 0.9, 0.9999, 1.0):
        assert critical_value(p, df) == pytest.approx(scipy.stats.t.isf(p / 2, df), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("df", DEGREES)
def test_tails_are_those_of_scipy(df: float) -> None:
    for t in (0.0, 1e-3, 0.5, -1.96, 4.3, 20.0, 1e3):
        assert two_sided_p(t, df) == pytest.approx(2 * scipy.stats.t.sf(abs(t), df), rel=1e-8)


def test_endless_degrees_of_freedom_are_the_normal_distribution() -> None:
    assert critical_value(0.05, math.inf) == pytest.approx(1.959963984540054)
    assert two_sided_p(1.959963984540054, math.inf) == pytest.approx(0.05)
    assert critical_value(0.05, 2e6) == pytest.approx(scipy.stats.t.isf(0.025, 2e6), rel=1e-5)


def test_the_incomplete_beta_function_is_that_of_scipy() -> None:
    for a in (0.5, 1.0, 3.3, 50.0, 700.0):
        for b in (0.5, 2.0, 44.0):
            for x in (0.0, 1e-6, 0.2, 0.5, 0.9, 0.999, 1.0):
                assert incomplete_beta(a, b, x) == pytest.approx(scipy.special.betainc(a, b, x), abs=1e-12)
