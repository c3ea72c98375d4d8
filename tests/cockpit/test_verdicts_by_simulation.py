"""Verdicts err as seldom as they say, by simulation: the same that `benchmarks/verdict_simulation.py` prints."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "verdict_simulation.py"
TRIALS = 1000


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[SCRIPT.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("questions", "samples"), [(100, 1), pytest.param(60, 8, marks=pytest.mark.slow)])
def test_of_a_thousand_equal_pairs_one_in_twenty_at_most_is_called_different(
    simulation: ModuleType, questions: int, samples: int
) -> None:
    tally = simulation.simulate(simulation.Scenario(questions, samples, 0.5, 0.0), TRIALS, seed=3)

    assert tally.found <= 0.05 + 3 * 0.007
    assert tally.covered >= 0.95 - 3 * 0.007


@pytest.mark.parametrize(("questions", "samples"), [(200, 1), pytest.param(60, 8, marks=pytest.mark.slow)])
def test_a_difference_is_found_more_often_than_by_two_separate_samples(
    simulation: ModuleType, questions: int, samples: int
) -> None:
    tally = simulation.simulate(simulation.Scenario(questions, samples, 0.5, 0.6), TRIALS, seed=3)

    assert tally.found > tally.theirs_found + 0.1
    assert tally.width < tally.theirs_width
    assert tally.covered >= 0.95 - 3 * 0.007


def test_a_table_of_equal_models_holds_a_false_alarm_one_time_in_twenty_at_most(
    simulation: ModuleType,
) -> None:
    corrected, uncorrected = simulation.families(TRIALS, seed=3)

    assert corrected <= 0.05 + 3 * 0.007 < uncorrected
