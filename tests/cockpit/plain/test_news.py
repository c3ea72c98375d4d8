"""What is said unasked: on real changes of a real store, no more often than one can listen to."""

from typing import Any

from cockpit.plain.news import GAP_SECONDS, MOST_AT_ONCE, PROGRESS_SECONDS, Item, News, Verbosity, shortened
from store.database import Database
from store.schema import Status


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def said(news: News, clock: Clock, later: float = GAP_SECONDS) -> list[str]:
    clock.now += later
    news.look()
    return news.due()


def test_starts_ends_and_warnings_are_said_once_and_failures_with_their_reason(
    bench: Any, database: Database
) -> None:
    bench.enqueue("a", "b", "c")
    bench.start()
    clock = Clock()
    news = News(database, Verbosity.EVENTS, clock)
    assert said(news, clock) == []
    bench.record(1, {"kind": "message", "level": "warning", "text": "slow\x1b[31m disk"})
    bench.record(1, {"kind": "message", "level": "info", "text": "halfway"})
    assert said(news, clock) == ["Warning from job 1: slow disk."]
    bench.score(1, [True, False])
    bench.finish(1)
    bench.start()
    heard = said(news, clock)
    assert heard[0].startswith("Job 1, a, succeeded, after 1 minute") and heard[0].endswith(
        "strict 50.0%, robust 50.0%."
    )
    assert heard[1:] == ["Job 2, b, has started."]
    bench.finish(2, Status.FAILED, "out of memory")
    bench.start()
    bench.finish(3, Status.CANCELLED)
    assert said(news, clock) == [
        "Job 2, b, failed: out of memory. logs 2 says more.",
        "Job 3, c, has started.",
        "Job 3, c, cancelled.",
        "The queue is empty: nothing runs, and nothing waits.",
    ]
    assert said(news, clock) == []
    assert len(news.heard()) == 7


def test_what_comes_close_together_is_said_together_and_quiet_is_quiet(
    bench: Any, database: Database
) -> None:
    bench.enqueue("a", "b", "c")
    clock = Clock()
    news = News(database, Verbosity.EVENTS, clock)
    bench.start()
    assert said(news, clock) == ["Job 1, a, has started."]
    bench.start()
    assert said(news, clock, GAP_SECONDS / 2) == []
    bench.start()
    assert said(news, clock, GAP_SECONDS / 2) == ["Job 2, b, has started.", "Job 3, c, has started."]
    news.verbosity = Verbosity.QUIET
    bench.finish(1)
    assert said(news, clock) == []
    news.verbosity = Verbosity.EVENTS
    assert said(news, clock) == [], "what was not said when it was quiet is not said afterwards"
    assert any(line.startswith("Job 1, a, succeeded") for line in news.heard())


def test_all_also_says_how_far_running_jobs_are(bench: Any, database: Database) -> None:
    bench.enqueue("a")
    bench.train(bench.start(), 1, 40)
    clock = Clock()
    news = News(database, Verbosity.ALL, clock)
    assert said(news, clock) == []
    [line] = said(news, clock, PROGRESS_SECONDS)
    assert line.startswith("Job 1, running, a, step 40 of 100, loss 0.6272")
    assert said(news, clock) == []


def test_a_verdict_on_a_curve_is_said_once(bench: Any, database: Database) -> None:
    bench.enqueue("a")
    bench.train(bench.start(), 1, 10)
    clock = Clock()
    news = News(database, Verbosity.EVENTS, clock)
    said(news, clock)
    bench.record(1, {"kind": "metrics", "step": 11, "values": {"loss": "nan"}})
    [line] = said(news, clock, 10.0)
    assert line.startswith("Job 1, a: loss is NaN or infinite 1 time, first near step 11")
    bench.record(1, {"kind": "metrics", "step": 12, "values": {"loss": "nan"}})
    assert said(news, clock, 10.0) == []


def test_of_many_changes_those_that_matter_are_said_and_the_others_counted() -> None:
    items = [Item(1, f"started {number}") for number in range(10)]
    items[3] = Item(3, "failed")
    heard = shortened(items)
    assert len(heard) == MOST_AT_ONCE
    assert heard[0] == "failed"
    assert heard[-1] == "And 6 other changes: news says them."
    assert shortened(items[:MOST_AT_ONCE]) == [item.text for item in items[:MOST_AT_ONCE]]
