"""Every key of a job: its tabs, wishes, curves, log, completions, and text to scroll through."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from cockpit.widgets.curves_pane import CurvesPane
from store import jobs, lifecycle
from store.lifecycle import NewJob
from store.schema import Status


def job(person: Any) -> Any:
    return jobs.get_job(person.app.feed.database, 1)


def view(condition: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """How the curves are looked at."""
    return lambda person: condition(person.app.screen.query_one(CurvesPane).view)


def steps(first: float, last: float) -> Callable[[Any], bool]:
    """The curve that is drawn reaches from one step to another."""

    def holds(person: Any) -> bool:
        drawn = person.app.screen.query_one(CurvesPane)._scale
        return drawn is not None and abs(drawn.low - first) + abs(drawn.high - last) < 1e-3

    return holds


def top(number: int) -> Callable[[Any], bool]:
    """This line of the log is the first one in sight."""
    return lambda person: person.app.screen.focused._line_at(
        person.app.screen.focused._first
    ).text.startswith(f"line {number:04} ")


def further_than(rows: int) -> Callable[[Any], bool]:
    return lambda person: rows < person.app.screen.focused.scroll_offset.y < 40


TO_THE_JOB = [("", (), "demo: train"), ("", "enter", "1 Curves")]

WALKS: dict[str, list[tuple[str, Any, Any]]] = {
    "tabs": [
        *TO_THE_JOB,
        ("job.log", "2", "The worker has not printed anything yet."),
        ("job.recipe", "3", "base: pocket"),
        ("job.history", "4", "attempt 1"),
        ("job.results", "5", "No scores and no files yet"),
        ("job.curves", "1", "━ loss"),
        ("job.samples", "6", "completion 3 of 3"),
        ("samples.previous", "p", "completion 2 of 3"),
        ("samples.next", "n", "completion 3 of 3"),
        ("", ("p", "p"), "completion 1 of 3"),
        ("samples.newest", "e", "completion 3 of 3"),
        ("", "1", "━ loss"),
        ("job.next-tab", "right_square_bracket", "The worker has not printed anything yet."),
        ("job.next-tab", "l", "base: pocket"),
        ("job.next-tab", "right", "attempt 1"),
        ("job.previous-tab", "left_square_bracket", "base: pocket"),
        ("job.previous-tab", "left", "The worker has not printed anything yet."),
        ("job.metrics", "m", "Metrics to draw"),
        ("metrics.down", "j", ("at", 1)),
        ("metrics.up", "k", ("at", 0)),
        ("metrics.mark", "space", "[ ] loss"),
        ("metrics.back", "m", ("gone", "Metrics to draw")),
        ("", "m", "Metrics to draw"),
        ("metrics.back", "escape", ("gone", "Metrics to draw")),
        ("", "m", "Metrics to draw"),
        ("metrics.back", "q", ("gone", "Metrics to draw")),
        ("", ("m", "j", "j", "space"), "[x] grad_norm"),
        ("metrics.draw", "enter", "━ grad_norm"),
        ("job.overlay", "o", "Runs to draw beside"),
        ("", "escape", ("gone", "Runs to draw beside")),
        ("job.cancel", "c", "Cancel job 1, train?"),
        ("", "n", ("gone", "Cancel job 1, train?")),
        ("job.compare", "v", "Nothing to compare"),
        ("", "escape", "1 Curves"),
        ("job.back", "escape", "2 jobs by activity"),
        ("", "enter", "1 Curves"),
        ("job.back", "backspace", "2 jobs by activity"),
    ],
    "one that waits": [
        *TO_THE_JOB,
        ("job.hold", "h", "held"),
        ("", "h", ("gone", "‖ held")),
        ("", "c", lambda person: job(person).status is Status.CANCELLED),
        ("", "4", "⊘ cancelled"),
        ("job.retry", "r", lambda person: job(person).status is Status.QUEUED),
    ],
    "curves": [
        *TO_THE_JOB,
        ("", "1", steps(0, 100)),
        ("curves.smoother", "plus", "EMA over"),
        ("curves.smoother", "equals_sign", view(lambda shown: shown.smoothing == 2)),
        ("curves.less-smooth", "minus", view(lambda shown: shown.smoothing == 1)),
        ("curves.not-smoothed", "0", ("gone", "EMA over")),
        ("curves.log-y", "y", "log y"),
        ("curves.x-axis", "x", view(lambda shown: shown.axis_shown.name == "epoch")),
        ("", ("x", "x"), steps(0, 100)),
        ("curves.zoom-in", "z", steps(25, 75)),
        ("curves.pan-left", "less_than_sign", steps(12.5, 62.5)),
        ("curves.pan-right", "greater_than_sign", steps(25, 75)),
        ("curves.cursor-right", "full_stop", view(lambda shown: shown.cursor is not None and shown.cursor > 50.1)),
        ("curves.cursor-left", "comma", view(lambda shown: abs(shown.cursor - 50) < 0.1)),
        ("", "z", steps(37.5, 62.5)),
        ("curves.zoom-out", "Z", steps(25, 75)),
        ("curves.all", "a", steps(0, 100)),
    ],
    "a log": [
        *TO_THE_JOB,
        ("", "2", "line 0999"),
        ("log.top", "g", top(0)),
        ("log.down", "down", top(1)),
        ("log.down", "j", top(2)),
        ("log.up", "up", top(1)),
        ("log.up", "k", top(0)),
        ("log.page-down", "pagedown", top(31)),
        ("log.page-down", "ctrl+d", top(62)),
        ("log.page-down", "space", top(93)),
        ("log.page-up", "pageup", top(62)),
        ("log.page-up", "ctrl+u", top(31)),
        ("log.follow", "f", "line 0999"),
        ("log.top", "home", "line 0000"),
        ("log.follow", "end", "line 0999"),
        ("", "g", top(0)),
        ("log.follow", "G", "line 0999"),
        ("", "g", top(0)),
        ("log.wrap", "w", "cut from column 1"),
        ("log.shift-right", "greater_than_sign", "cut from column 61"),
        ("log.shift-left", "less_than_sign", "cut from column 1 "),
        ("", "w", ("gone", "cut from column")),
        ("log.search", "slash", "Search for a regular expression"),
        ("line.leave", "escape", ("gone", "Search for a regular expression")),
        ("", ("slash", *"9 of", "enter"), top(9)),
        ("log.next-found", "n", top(19)),
        ("log.previous-found", "N", top(9)),
        ("log.go-to", "percent_sign", "Go to a percentage"),
        ("", (*"50%", "enter"), top(500)),
    ],
    "a long recipe": [
        *TO_THE_JOB,
        ("", "3", "base: pocket"),
        ("text.down", "down", ("scrolled", 1)),
        ("text.down", "j", ("scrolled", 2)),
        ("text.up", "up", ("scrolled", 1)),
        ("text.up", "k", ("scrolled", 0)),
        ("text.page-down", "pagedown", ("scrolled", 20)),
        ("text.page-up", "pageup", ("scrolled", 0)),
        ("text.page-down", "ctrl+d", ("scrolled", 20)),
        ("text.page-up", "ctrl+u", ("scrolled", 0)),
        ("text.bottom", "end", further_than(30)),
        ("text.top", "home", ("scrolled", 0)),
        ("text.bottom", "G", further_than(30)),
        ("text.top", "g", ("scrolled", 0)),
    ],
}  # fmt: skip


def training(bench: Any) -> None:
    bench.record(1, {"kind": "progress", "done": 100, "total": 100, "unit": "step"})
    for step in range(1, 101):
        values = {"loss": 2 * math.exp(-step / 30) + 0.1, "grad_norm": 1.0, "epoch": step / 50}
        bench.record(1, {"kind": "metrics", "step": step, "values": values})


@pytest.mark.parametrize("name", WALKS)
def test_each_key_of_a_job_does_what_it_says(name: str, walk: Any, bench: Any) -> None:
    recipe = {
        "engine": "sft",
        "model": {"base": "pocket"},
        "notes": [f"note {number}" for number in range(60)],
    }
    lifecycle.enqueue(bench.database, "demo", [NewJob(name, "sft", recipe) for name in ("train", "other")])
    run_dir = bench.database.run_dir(1)
    run_dir.mkdir(parents=True)
    if name in ("tabs", "curves"):
        bench.start()
        training(bench)
    if name == "tabs":
        bench.train(bench.start(), 1, 3)
        (run_dir / "debug").mkdir()
        rows = [json.dumps({"step": number, "completion": f"said {number}"}) for number in range(3)]
        (run_dir / "debug" / "rollouts_1.jsonl").write_text("\n".join(rows) + "\n")
    if name == "a log":
        lines = [f"line {number:04} of a log" for number in range(1000)]
        (run_dir / "worker.log").write_text("".join(line + " word" * 12 + "\n" for line in lines))
    walk(WALKS[name], size=(120, 40))
