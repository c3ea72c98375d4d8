"""The screen of a job opens as the last one was left."""

from typing import Any

import pytest

from cockpit.curves_view import CurvesView
from cockpit.job_view import charts_left, curves_left, tab_left, to_leave


def test_what_is_left_comes_back() -> None:
    view = CurvesView(smoothing=2, log_scale=True, axis="time", part=(1.0, 9.0), cursor=4.0)
    left = to_leave({"charts": {"sft": [["loss"]]}}, "log", view, "grpo", [("reward", "acc"), ("kl",)])
    assert curves_left(left, 6) == CurvesView(smoothing=2, log_scale=True, axis="time")
    assert tab_left(left, ("curves", "log")) == "log"
    assert charts_left(left, "grpo", ["acc", "kl"]) == [("acc",), ("kl",)]
    assert charts_left(left, "sft", ["loss"]) == [("loss",)]
    assert charts_left(left, "grpo", ["other"]) is None
    assert "charts" not in to_leave({}, "log", view, "sft", None)


@pytest.mark.parametrize(
    "left",
    [{}, {"smoothing": 99, "log_scale": "yes", "axis": 3, "tab": [], "charts": 7}, {"charts": {"sft": 3}}],
)
def test_what_was_edited_to_nonsense_counts_as_not_left(left: dict[str, Any]) -> None:
    assert curves_left(left, 6) == CurvesView()
    assert tab_left(left, ("curves", "log")) == "curves"
    assert charts_left(left, "sft", ["loss"]) is None


def test_the_next_job_opens_as_the_last_was_left_also_on_another_day(visit: Any, bench: Any) -> None:
    bench.enqueue("train")
    bench.train(bench.start(), 1, 30)
    bench.record(1, {"kind": "metrics", "step": 30, "values": {"grad_norm": 0.5}})

    async def leave(person: Any) -> None:
        await person.sees("● running")
        await person.press("enter")
        await person.sees("━ loss")
        await person.press("y", "plus", "x", "m")
        await person.sees("[ ] grad_norm")
        await person.press("j", "space", "enter")
        await person.sees("━ grad_norm", "log y", "time ")
        await person.press("4")
        await person.sees("attempt 1")
        await person.press("escape")
        await person.press("enter")
        await person.sees("▸4 History", "attempt 1")

    visit(leave)

    async def another_day(person: Any) -> None:
        await person.sees("● running")
        await person.press("enter")
        await person.sees("▸4 History")
        await person.press("1")
        await person.sees("━ loss", "━ grad_norm", "log y", "EMA", "time ")

    visit(another_day)
