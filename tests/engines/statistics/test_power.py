import random

import pytest

from engines.statistics.intervals import mcnemar_exact
from engines.statistics.power import mcnemar_power, power_table, questions_needed


@pytest.mark.parametrize(
    ("n", "gain", "discordance", "power"),
    [(200, 0.06, 0.10, 0.74), (200, 0.06, 0.20, 0.41), (500, 0.04, 0.10, 0.78), (500, 0.04, 0.20, 0.51), (1319, 0.02, 0.10, 0.60)],
)  # fmt: skip
def test_power_is_near_that_of_a_simulated_table_with_the_slightly_stronger_mid_p_test(
    n, gain, discordance, power
):
    assert mcnemar_power(n, gain, discordance) == pytest.approx(power, abs=0.035)


def test_power_is_what_simulation_finds():
    draw = random.Random(0)
    found = 0
    for _ in range(4000):
        outcomes = draw.choices([1, -1, 0], weights=[0.15, 0.05, 0.80], k=120)
        wins, losses = outcomes.count(1), outcomes.count(-1)
        found += wins > losses and mcnemar_exact(losses, wins) <= 0.05
    assert mcnemar_power(120, 0.10, 0.20) == pytest.approx(found / 4000, abs=0.025)


def test_without_an_effect_the_power_is_at_most_half_the_level():
    assert 0 < mcnemar_power(300, 0.0, 0.2) <= 0.025


def test_twenty_questions_cannot_show_ten_points():
    assert mcnemar_power(20, 0.10, 0.10) < 0.05


def test_a_gain_needs_answers_that_differ():
    assert mcnemar_power(50, 0.0, 0.0) == 0.0
    with pytest.raises(ValueError, match="gain"):
        mcnemar_power(50, 0.2, 0.1)
    assert [row[:3] for row in power_table([10], [0.1, 0.3], [0.2])] == [(10, 0.1, 0.2)]


@pytest.mark.parametrize(
    ("gain", "discordance"), [(0.2, 0.3), (0.1, 0.12), (0.1, 0.4), (0.05, 0.1), (0.3, 0.3)]
)
def test_the_questions_needed_have_the_power_that_was_asked_for_by_the_exact_sum(
    gain: float, discordance: float
) -> None:
    needed = questions_needed(gain, discordance)

    assert needed is not None
    assert 0.785 < mcnemar_power(needed, gain, discordance) < 0.87
    assert questions_needed(-gain, discordance) == needed
    stricter = questions_needed(gain, discordance, alpha=0.05 / 3)
    assert stricter is not None and stricter > needed


def test_no_number_of_questions_shows_a_difference_that_is_none() -> None:
    assert questions_needed(0.0, 0.2) is None
