"""Curves over epochs, tokens and time; zooming, and reading values out."""

import math
from typing import Any

import pytest

from cockpit import axes, curves
from cockpit.axes import Axis
from cockpit.curves_view import CurvesView
from cockpit.reads import read_curves
from cockpit.scales import Scale
from store.database import Database
from store.metrics import Bucket


@pytest.fixture
def job(bench: Any) -> int:
    """2,000 steps of loss; every tenth says epoch and tokens; a step takes half a second."""
    bench.enqueue("train")
    job_id: int = bench.start()
    events = []
    for step in range(1, 2001):
        values: dict[str, Any] = {"loss": math.cos(step / 50)}
        if step % 10 == 0:
            values |= {"epoch": step / 500, "tokens": 128 * step, "note": 1.0}
        events.append({"kind": "metrics", "step": step, "time": 5000 + step / 2, "values": values})
    bench.record(job_id, *events)
    return job_id


def test_axes_are_offered_where_there_is_data_for_them() -> None:
    assert axes.offered([]) == ["step"]
    assert axes.offered(["gpu/0/util"]) == ["step"]
    assert axes.offered(["loss"]) == ["step", "time"]
    assert axes.offered(["loss", "num_tokens", "epoch"]) == ["step", "epoch", "tokens", "time"]


@pytest.mark.parametrize(("name", "per_step"), [("epoch", 1 / 500), ("tokens", 128.0), ("time", 0.5)])
def test_points_lie_where_their_steps_were_logged(
    database: Database, job: int, name: str, per_step: float
) -> None:
    read = read_curves(database, job, ["loss"], 160, name)
    begin = 0.5 if name == "time" else 0.0
    steps = read_curves(database, job, ["loss"], 160).curves["loss"]
    for bucket, plain in zip(read.curves["loss"], steps, strict=True):
        assert bucket.last_step == pytest.approx(plain.last_step * per_step - begin, abs=per_step)
        assert (bucket.low, bucket.high) == (plain.low, plain.high)
    assert read.axis.step(read.axis.place(777)) == pytest.approx(777)

    part = read_curves(database, job, ["loss"], 160, name, (1000, 1100))
    assert part.axis.low == pytest.approx(1000 * per_step - begin, abs=per_step)
    assert len(part.curves["loss"]) >= 100, "closer means finer"
    assert part.curves["loss"][0].low == part.curves["loss"][0].high


def test_an_axis_without_data_is_that_of_the_steps(database: Database, job: int) -> None:
    assert read_curves(database, job, ["none"], 80, "time").axis == Axis()
    assert axes.read_axis(database, job, "epoch", ["loss"], 3, 9).name == "epoch"


def test_a_clock_that_was_set_back_does_not_turn_the_axis() -> None:
    table = axes._rising([(1, 10.0), (2, 20.0), (3, 5.0), (4, 30.0)])
    assert table == ((1, 10.0), (2, 20.0), (4, 30.0))


def test_zooming_goes_closer_around_the_cursor_and_back_to_the_whole() -> None:
    view, whole = CurvesView(), Scale(0, 1000, ())
    view.zoom(whole, 0.5)
    assert view.part == (250, 750)
    view.pan(whole, 0.25)
    assert view.part == (375, 875)
    view.cursor = 400
    view.zoom(whole, 0.5)
    assert view.part == (275, 525)
    for _ in range(20):
        view.zoom(whole, 0.5)
    assert view.part is not None and 4 <= view.part[1] - view.part[0] < 8
    for _ in range(20):
        view.zoom(whole, 2.0)
    assert view.part is None
    view.pan(whole, 0.25)
    assert view.part is None


def test_what_is_zoomed_to_stays_on_another_axis() -> None:
    view = CurvesView(axis="tokens", axis_shown=Axis("tokens", ((0, 0.0), (1000, 128_000.0))))
    view.zoom(Scale(0, 128_000, ()), 0.5)
    assert view.part == pytest.approx((250, 750))
    view.next_axis(["step", "epoch", "tokens"])
    assert view.axis == "step" and view.part is not None
    view.next_axis(["step"])
    assert view.axis == "step"


def test_the_read_out_has_the_extremes_of_a_column_and_counts_its_gaps() -> None:
    buckets = [Bucket(i, i, None if i == 5 else float(i), float(i), int(i == 5)) for i in range(10)]
    assert curves.value_at(buckets, 3, 0.4) == Bucket(3, 3, 3.0, 3.0, 0)
    assert curves.value_at(buckets, 4.5, 1) == Bucket(4, 5, 4.0, 5.0, 1)
    assert curves.value_at(buckets, 100, 1) == Bucket(9, 9, 9.0, 9.0, 0)
    assert curves.value_at([], 1, 1) is None


def test_points_outside_of_the_part_are_not_drawn_at_its_edges() -> None:
    buckets = [Bucket(i, i, 1.0, 1.0, 0) for i in range(10)]
    drawn = curves.columns(buckets, Scale(3, 6, ()), Scale(0, 2, ()), 100)
    assert [column.x for column in drawn] == [0, 33, 66, 99]


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_a_person_changes_the_axis_zooms_and_reads_out(
    visit: Any, job: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if size[0] == 80:
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setenv("TUNEDECK_ASCII", "1")

    async def look(person: Any) -> None:
        await person.sees("running", "train")
        await person.press("enter")
        await person.sees("loss", "step")
        await person.press("full_stop")
        await person.sees("step 1,0")
        moved = person.line("step 1,0").strip()
        await person.press("full_stop", "full_stop")
        await person.no_longer_sees(moved)
        await person.press("a")
        await person.no_longer_sees("step 1,0")
        await person.press("z", "z", "z", "z")
        await person.sees("1000", "1050")
        await person.press("less_than_sign")
        await person.no_longer_sees("1050")
        await person.press("x", "comma")
        await person.sees("epoch 1.9")
        await person.press("x")
        await person.sees("tokens ", "120k")
        await person.press("x", "a")
        await person.sees("time", "0s", "16m 40s")
        await person.press("x")
        await person.sees("2000")
        plot = person.app.screen.query_one("MetricPlot")
        await person.pilot.click(plot, offset=(8, 3))
        await person.sees("step 0 ")

    visit(look, size)
