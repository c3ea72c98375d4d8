"""Every key that leads through the past."""

import time
from datetime import datetime
from typing import Any

import pytest

THEN = datetime(2026, 11, 20, 3, 0, 0).timestamp()
MINUTE, HOUR = 60.0, 3600.0


def past(moment: str) -> str:
    return f"THE PAST: 2026-11-20 {moment}"


WALKS: dict[str, list[tuple[str, Any, Any]]] = {
    "there and back": [
        ("", (), "late"),
        ("replay.past", "at", "Which moment?"),
        ("", (*"03:00", "enter"), past("03:00:00")),
        ("replay.hour-back", "left_curly_bracket", past("02:00:00")),
        ("replay.hour-on", "right_curly_bracket", past("03:00:00")),
        ("replay.minute-back", "ctrl+left", past("02:59:00")),
        ("replay.minute-on", "ctrl+right", past("03:00:00")),
        ("replay.event-on", "right_parenthesis", past("03:30:00")),
        ("replay.event-back", "left_parenthesis", past("02:30:00")),
        ("replay.now", "exclamation_mark", ("gone", "THE PAST")),
    ],
}


@pytest.mark.parametrize("name", WALKS)
def test_each_key_of_the_past_does_what_it_says(
    name: str, walk: Any, bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, began = time.time, time.time()

    def at(moment: float) -> None:
        monkeypatch.setattr(time, "time", lambda: moment)

    at(THEN - HOUR)
    bench.enqueue("base", experiment="night")
    at(THEN - HOUR / 2)
    bench.start()
    bench.train(1, 1, 20)
    at(THEN + HOUR / 2)
    bench.finish(1)
    at(THEN + 2 * HOUR)
    bench.enqueue("late", experiment="morning")
    # From here on time passes as it does: the app's threads look at the clock.
    monkeypatch.setattr(time, "time", lambda: THEN + 2 * HOUR + real() - began)

    walk(WALKS[name])
