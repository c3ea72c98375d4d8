import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit import curves, scales
from cockpit.braille import Canvas
from cockpit.widgets import plot_text
from store.metrics import Bucket

finite = st.floats(-1e6, 1e6, allow_nan=False)


def points(*values, start=0):
    return [
        Bucket(start + step, start + step, None if value is None else value, value, int(value is None))
        for step, value in enumerate(values)
    ]


@given(st.lists(finite, min_size=1, max_size=20), st.integers(2, 8))
def test_a_linear_scale_holds_its_values_and_few_ticks(values, most):
    scale = scales.linear(values, most)
    assert all(-1e-9 <= scale.position(value) <= 1 + 1e-9 for value in values)
    assert len(scale.ticks) <= most + 1


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=20))
def test_a_logarithmic_scale_holds_positive_values(values):
    scale = scales.logarithmic(values, 5)
    assert scale is not None
    assert all(-1e-9 <= scale.position(value) <= 1 + 1e-9 for value in values)


def test_a_logarithmic_scale_of_nothing_positive_is_none():
    assert scales.logarithmic([0.0, -1.0], 5) is None


def test_an_axis_grows_in_rare_jumps():
    assert len({scales.round_up(step) for step in range(1, 10_001)}) < 45
    assert {scales.halved_down_to(3200, step) for step in range(1, 3201)} == {
        12.5,
        25,
        50,
        100,
        200,
        400,
        800,
        1600,
        3200,
    }


def test_a_line_without_gaps_has_a_dot_in_every_column():
    canvas = Canvas(10, 5)
    up, across = scales.Scale(0, 1, ()), scales.Scale(0, 9, ())
    rising = points(*(index / 9 for index in range(10)))
    curves.draw(canvas, curves.columns(rising, across, up, canvas.dots_across), up, "paint")
    assert all(any(canvas.cell(column, row)[0] != " " for row in range(5)) for column in range(10))
    assert canvas.cell(0, 4)[0] != " " and canvas.cell(9, 0)[0] != " "


def test_a_nan_leaves_a_gap():
    canvas = Canvas(10, 2)
    up, across = scales.Scale(0, 1, ()), scales.Scale(0, 9, ())
    values = [0.5, 0.5, 0.5, 0.5, None, None, None, 0.5, 0.5, 0.5]
    curves.draw(canvas, curves.columns(points(*values), across, up, canvas.dots_across), up, "paint")
    empty = [column for column in range(10) if all(canvas.cell(column, row)[0] == " " for row in range(2))]
    assert empty == [4, 5, 6]


def test_the_extremes_of_a_column_are_kept():
    merged = curves.columns(
        [Bucket(0, 9, 1.0, 5.0, 0), Bucket(10, 19, -2.0, 3.0, 0)],
        scales.Scale(0, 1e6, ()),
        scales.Scale(-9, 9, ()),
        4,
    )
    assert merged == [curves.Column(0, -2.0, 5.0)]


def test_infinity_and_what_a_log_scale_cannot_show_are_gaps():
    log = scales.Scale(0.1, 10, (), logarithmic=True)
    assert not curves.is_shown(Bucket(0, 0, math.inf, math.inf, 0), scales.Scale(0, 1, ()))
    assert not curves.is_shown(Bucket(0, 0, 0.0, 0.0, 0), log)
    assert curves.is_shown(Bucket(0, 0, 0.5, 0.5, 0), log)


def test_the_average_of_a_constant_is_the_constant_from_the_first_point_on():
    average = curves.smoothed(points(*[3.0] * 20), scales.Scale(0, 9, ()), 5)
    assert [bucket.low for bucket in average] == pytest.approx([3.0] * 20)


def test_the_average_forgets_within_its_memory_and_starts_anew_after_a_gap():
    up = scales.Scale(-1, 2, ())
    average = curves.smoothed(points(*[1.0] * 20, *[0.0] * 5, None, 1.0), up, 5)
    assert average[24].low == pytest.approx(math.exp(-1), rel=0.05)
    assert average[25].low is None
    assert average[26].low == 1.0


def test_the_average_does_not_depend_on_how_points_are_bucketed():
    up = scales.Scale(0, 99, ())
    singles = curves.smoothed(points(*(float(index) for index in range(64))), up, 16)
    eights = curves.smoothed([Bucket(8 * i, 8 * i + 7, 8.0 * i, 8.0 * i + 7, 0) for i in range(8)], up, 16)
    assert eights[-1].low == pytest.approx(singles[-1].low, abs=4)


def level(value, steps=100):
    return points(*[value] * steps)


def test_three_curves_and_more_have_letters_that_lie_on_them():
    width, height = 60, 10
    up, across = scales.linear([0.0, 3.0], 4), scales.between(0, 99, 4)
    drawn = {"low": level(0.5), "middle": level(1.5), "short": level(2.5, steps=30)}
    rows = [[("label", "axis"), *[(" ", "")] * width] for _ in range(height)]

    plot_text.mark_curves(rows, drawn, across, up)

    seen = {
        text: [(y, x) for y, row in enumerate(rows) for x, cell in enumerate(row[1:]) if cell[0] == text]
        for text in "ABC"
    }
    heights = {text: {y for y, _ in places} for text, places in seen.items()}
    assert heights == {
        name: {round((1 - value / 3) * (height - 1))}
        for name, value in zip("ABC", (0.5, 1.5, 2.5), strict=True)
    }
    assert len(seen["A"]) == len(seen["B"]) == 4 and all(x <= 18 for _, x in seen["C"]) and seen["C"]
    assert not {x for _, x in seen["A"]} & {x for _, x in seen["B"]}, (
        "where curves meet each keeps its letter"
    )


def test_two_curves_need_no_letters():
    rows = [[("label", "axis"), *[(" ", "")] * 60] for _ in range(10)]
    plot_text.mark_curves(
        rows, {"a": level(0.5), "b": level(1.0)}, scales.between(0, 99, 4), scales.linear([0.0, 3.0], 4)
    )
    assert all(cell == (" ", "") for row in rows for cell in row[1:])
    assert [text for text, _ in plot_text.title({"a": level(1), "b": level(2)}, {}, [], 60)][1] == "━ a"


def test_a_band_is_shaded_between_its_points_and_open_in_a_gap():
    canvas = Canvas(40, 10)
    up, across = scales.linear([0.0, 3.0], 4), scales.between(0, 20, 4)
    band = [
        Bucket(step, step, None if step == 10 else 1.0, None if step == 10 else 2.0, 0)
        for step in range(0, 21, 5)
    ]

    curves.shade(canvas, curves.columns(band, across, up, canvas.dots_across), up, "raw")

    drawn = [x for x in range(40) if any(canvas.cell(x, y)[1] == "raw" for y in range(10))]
    assert set(drawn) <= {*range(11), *range(29, 40)} and len(drawn) > 18
    assert canvas.cell(2, 0)[0] == canvas.cell(2, 9)[0] == " "
