"""When jobs start and when the queue is empty, from what jobs like them took."""

from typing import Any

from cockpit.forecast import Forecast, Span, durations, forecast
from store.schema import Status
from store.workload import Task, Workload

NOW = 1_200_000.0  # a whole minute


def task(number: int, **changes: Any) -> Task:
    fields: dict[str, Any] = {
        "id": number, "experiment_id": 1, "experiment": "sweep", "engine": "sft", "model": "pocket", "size": "256", "gpus": 0, "group": None,
        "status": Status.QUEUED, "held": False, "not_before": None, "started_at": None, "ended_at": None, "progress": None,
        "progress_at": None, "attempt": 1,
    }  # fmt: skip
    return Task(**fields | changes)


def past(*minutes: float, **changes: Any) -> list[Task]:
    return [
        task(100 + index, started_at=0.0, ended_at=60 * length, status=Status.SUCCEEDED, **changes)
        for index, length in enumerate(minutes)
    ]


def work(waiting: list[Task], running: list[Task] = [], done: list[Task] = [], **slots: int) -> Workload:  # noqa: B006
    return Workload(done, running, waiting, slots)


def minutes(span: Span | None) -> tuple[float, float, float] | None:
    if span is None:
        return None
    return (span.likely - NOW) / 60, (span.low - NOW) / 60, (span.high - NOW) / 60


def starts(found: Forecast) -> dict[int, Any]:
    return {number: minutes(span) for number, span in found.starts}


def test_a_job_takes_what_the_closest_jobs_took_of_which_there_are_three() -> None:
    length = durations(
        [
            *past(10, 20, 30),
            *past(100, 100, size="512"),
            *past(5, 6, 7, 8, experiment="other", engine="eval"),
        ]
    )
    assert length(task(1)) == Span(1200, 900, 1500)
    # Two of its size are too few to count; there are five of its experiment.
    assert length(task(1, size="512")) == Span(1800, 1200, 6000)
    assert length(task(1, experiment="another")) == Span(1200, 900, 1500)
    assert length(task(1, engine="grpo")) is None
    assert durations(past(10))(task(1)) == Span(600, 600, 600)


def test_slots_are_filled_in_turn_and_the_range_grows_with_what_is_ahead() -> None:
    found = forecast(work([task(i) for i in range(1, 6)], done=past(10, 20, 30)), 2, 0, NOW)
    assert starts(found) == {1: (0, 0, 0), 2: (0, 0, 0), 3: (20, 15, 25), 4: (20, 15, 25), 5: (40, 30, 50)}
    assert minutes(found.empty) == (60, 45, 75)
    assert [(number, minutes(span)) for number, span in found.ends] == [(1, (60, 45, 75))]


def test_what_runs_ends_at_its_pace_or_as_others_did() -> None:
    at_pace = task(1, started_at=NOW - 600, progress=0.5, progress_at=NOW, status=Status.RUNNING)
    silent = task(2, started_at=NOW - 300, status=Status.RUNNING)
    found = forecast(work([task(3), task(4)], [at_pace, silent], past(12, 12, 12)), 2, 0, NOW)
    assert starts(found) == {3: (7, 7, 7), 4: (10, 10, 10)}


def test_nothing_is_promised_behind_a_job_that_nobody_knows() -> None:
    found = forecast(
        work([task(1, engine="grpo", experiment="new"), task(2)], done=past(10, 10, 10)), 1, 0, NOW
    )
    assert starts(found) == {1: (0, 0, 0)}
    assert (found.empty, found.why) == (None, "1 job is like none that has succeeded")


def test_held_paused_and_impossible_jobs_do_not_start_and_hold_nobody_back() -> None:
    waiting = [task(1, held=True), task(2, group="off"), task(3, gpus=3), task(4)]
    found = forecast(work(waiting, done=past(10, 10, 10), off=0), 1, 2, NOW)
    assert starts(found) == {4: (0, 0, 0)}
    assert found.why == "some jobs are held, paused or too large to start"


def test_cards_groups_and_times_are_waited_for() -> None:
    waiting = [
        task(1, gpus=2), task(2, gpus=1), task(3), task(4, group="one"), task(5, group="one"),
        task(6, not_before=NOW + 3600),
    ]  # fmt: skip
    found = forecast(work(waiting, done=past(10, 10, 10), one=1), 9, 2, NOW)
    assert {number: span[0] for number, span in starts(found).items()} == {
        1: 0,
        2: 10,
        3: 0,
        4: 0,
        5: 10,
        6: 60,
    }


def test_an_empty_queue_is_empty_now() -> None:
    assert minutes(forecast(work([]), 1, 0, NOW).empty) == (0, 0, 0)
