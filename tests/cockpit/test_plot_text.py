"""The line above a chart."""

import math

import pytest
from rich.cells import cell_len

from cockpit.widgets import plot_text
from store.metrics import Bucket

NAMES = ("dev_accuracy_strict", "dev_accuracy_robust", "dev_accuracy_strict, mean of seeds 1, 2, 3", "loss")
CURVES = {name: [Bucket(0, 9, 0.25, 0.5, 0)] for name in NAMES}


def title(width: int, count: int = 4, notes: tuple[str, ...] = ()) -> str:
    drawn = {name: CURVES[name] for name in NAMES[-count:]}
    return "".join(text for text, _ in plot_text.title(drawn, dict.fromkeys(drawn, 0.4133), notes, width))


@pytest.mark.parametrize("width", [54, 72, 80, 100, 133])
def test_every_curve_has_its_letter_and_value_however_long_the_names(width: int) -> None:
    found = title(width)
    assert cell_len(found.rstrip()) <= width
    assert found.count("0.4133") == 4
    assert all(f" {letter} " in found for letter in "ABCD")


def test_short_names_stay_whole_and_leave_their_room_to_the_others() -> None:
    assert "D loss 0.4133" in title(100)
    assert all(name in title(300) for name in NAMES)


def test_how_the_curves_are_drawn_is_not_cut_either() -> None:
    assert title(80, 2, ("log y", "EMA over 5 steps")).endswith("log y · EMA over 5 steps")


def test_a_curve_without_a_known_value_shows_none_and_one_that_is_nan_says_so() -> None:
    drawn = {"loss": CURVES["loss"], "mean of seeds 1, 2": CURVES["loss"]}
    found = "".join(text for text, _ in plot_text.title(drawn, {"loss": math.nan}, (), 80))
    assert "loss NaN" in found and found.count("NaN") == 1


def test_the_values_at_the_cursor_fit_too() -> None:
    found = "".join(text for text, _ in plot_text.read_out(CURVES, "step", 5, 0.5, 120))
    assert cell_len(found.rstrip()) <= 120 and found.count("0.2500 to 0.5000") == 4
