import math
from types import SimpleNamespace

import pytest

from cockpit.figures import Pace, figure, number, percent, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.4, "0s"), (59.6, "1m 00s"), (725, "12m 05s"), (12_000, "3h 20m"), (187_200, "2d 4h")],
)
def test_spans_have_two_units(seconds, text):
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""), (0.43214, "0.4321"), (12.3456, "12.35"), (1e-5, "1.0e-05"), (52_100.0, "52.1k"), (3.0, "3"),
        (-0.5, "-0.5000"), (math.nan, "NaN"), (math.inf, "inf"), (1.5e20, "1.5e+20"), (999.96, "1000.0"),
    ],
)  # fmt: skip
def test_numbers_have_four_significant_digits(value, text):
    assert number(value) == text
    assert len(text) <= 8


def test_a_missing_share_is_no_share():
    assert percent(None) == percent(math.nan) == ""
    assert percent(0.125) == "12.5%"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("strict", 0.5, "50.0%"), ("r12/pass@4", 0.25, "25.0%"), ("r1/dev_robust", 0.125, "12.5%"), ("avg@8", 1, "100.0%"),
        ("contains", 0.49, "49.0%"), ("panel/retrieval", 0.1481, "14.8%"), ("panel/margin", 0.4773, "0.4773"),
        ("train_pass@2", 0.0, "0.0%"), ("success_rate", 0.75, "75.0%"), ("r1/distinct_right", 1.5, "1.500"),
        ("budget/seconds", 3.828, "3.828"), ("budget/prompts", 64.0, "64"), ("r1/rows", 16, "16"), ("mean_tokens", 9.2, "9.200"),
    ],
)  # fmt: skip
def test_scores_are_shares_or_counts_by_their_names(name, value, text):
    assert figure(name, value) == text


def job(**changes):
    fields = {
        "id": 1,
        "attempt": 1,
        "started_at": 100.0,
        "progress_done": 20.0,
        "progress_total": 100.0,
        "progress_at": 140.0,
    }
    return SimpleNamespace(**fields | changes)


def test_what_is_left_goes_on_at_the_pace_so_far():
    assert Pace().seconds_left(job()) == 160.0


def test_a_resumed_attempt_is_timed_from_its_own_progress():
    # It began at step 60, which the row does not say: 60 steps were not done in the first 10 seconds.
    pace = Pace()
    assert pace.seconds_left(job(attempt=2, progress_done=60.0, progress_at=110.0)) is None
    assert pace.seconds_left(job(attempt=2, progress_done=70.0, progress_at=130.0)) == 60.0


@pytest.mark.parametrize("missing", [{"progress_total": None}, {"progress_at": None}, {"progress_done": 0.0}])
def test_without_progress_nothing_is_promised(missing):
    assert Pace().seconds_left(job(**missing)) is None
