"""A curve in words, checked against numbers that are known."""

import math
import random
from collections.abc import Callable
from statistics import linear_regression

from cockpit.figures import number
from cockpit.plain.curve import describe
from store.metrics import Bucket


def series(value: Callable[[int], float | None], count: int = 100) -> list[Bucket]:
    values = [value(step) for step in range(1, count + 1)]
    return [Bucket(step, step, one, one, int(one is None)) for step, one in enumerate(values, 1)]


def test_a_falling_curve_is_told_from_its_newest_value_on() -> None:
    assert describe("loss", series(lambda step: 101.0 - step)) == [
        "loss is now 1, at step 100.",
        "It began with 100 at step 1.",
        "Lowest 1 at step 100, highest 100 at step 1.",
        "Over the last tenth, steps 91 to 100: falling, from 10 to 1.",
        "From first to last: step 1: 100, step 12: 89, step 23: 78, step 34: 67, step 45: 56, step 56: 45, "
        "step 67: 34, step 78: 23, step 89: 12, step 100: 1.",
    ]


def test_noise_around_a_level_has_no_trend_and_a_slope_within_noise_is_found() -> None:
    chance = random.Random(0)
    noise = [chance.gauss(0, 0.1) for _ in range(1001)]
    trends = [
        describe("loss", series(lambda step, slope=slope: 2 + slope * step + noise[step], 1000))[3]
        for slope in (0.0, 0.01, -0.01)
    ]
    assert "steps 901 to 1000: no clear trend, about 2.0" in trends[0]
    assert "rising, from 11.0" in trends[1] and "falling, from -6.99" in trends[2]


def test_gaps_are_counted_and_placed() -> None:
    said = describe("loss", series(lambda step: None if step in (7, 8, 50) else 1.0))
    assert "3 values NaN or infinite, first at step 7, last at step 50." in said
    assert describe("loss", series(lambda _: None, 2)) == [
        "loss has only NaN or infinite values.",
        "2 values NaN or infinite, first at step 1, last at step 2.",
    ]
    infinite = describe("loss", series(lambda step: math.inf if step == 3 else 1.0, 5))
    assert "1 value NaN or infinite, first at step 3." in infinite


def test_short_and_empty_series_say_what_there_is() -> None:
    assert describe("loss", []) == ["loss has no values yet."]
    [now, began, _, trend, numbers] = describe("loss", series(lambda _: 2.5, 1))
    assert (now, began) == ("loss is now 2.500, at step 1.", "It began with 2.500 at step 1.")
    assert trend == "There are too few points to tell where it is going."
    few = describe("loss", series(lambda step: 1.0 / step, 20))
    line = linear_regression(range(13, 21), [1.0 / step for step in range(13, 21)])
    ends = [number(line.intercept + line.slope * step) for step in (13, 20)]
    assert few[3] == f"Over the last 8 points, steps 13 to 20: falling, from {ends[0]} to {ends[1]}."
    assert numbers == "From first to last: step 1: 2.500."


def test_buckets_of_many_points_name_the_steps_between_which_something_is() -> None:
    buckets = [Bucket(1, 10, 1.0, 3.0, 0), Bucket(11, 20, 0.5, 0.9, 2), Bucket(21, 30, 0.6, 0.8, 0)]
    said = describe("loss", buckets)
    assert said[2] == "Lowest 0.5000 between steps 11 and 20, highest 3 between steps 1 and 10."
    assert "2 values NaN or infinite, first between steps 11 and 20." in said
