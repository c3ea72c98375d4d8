"""How long jobs may take, from what like ones took."""

import time
from typing import Any

from cockpit.estimates import past_runs, total_words
from store import lifecycle, wishes
from store.lifecycle import NewJob
from store.schema import Status


def ran(bench: Any, seconds: float, engine: str, **fields: Any) -> None:
    """A job that succeeded; its recipe has a model."""
    new = [NewJob("a", engine, {"engine": engine, "model": fields})]
    [job] = lifecycle.enqueue(bench.database, "demo", new)[1]
    lifecycle.claim(bench.database, 99, [])
    lifecycle.mark_running(bench.database, job, {"started_at": time.time() - seconds, "pid": 1})
    bench.finish(job)


def test_runs_of_the_same_engine_and_model_go_before_those_of_the_engine(bench: Any) -> None:
    for seconds in (100, 200, 900):
        ran(bench, seconds, "sft", base="pocket")
    ran(bench, 5000, "sft", base="larger")
    past = past_runs(bench.database)
    same = past.estimate("sft", {"model": {"base": "pocket"}})
    other = past.estimate("sft", {"model": {"base": "unknown"}})

    assert same is not None and other is not None
    assert [round(value) for value in (same.low, same.median, same.high)] == [100, 200, 900]
    assert same.words == "about 3m 20s (1m 40s to 15m 00s), 3 past runs, same engine and model"
    assert (other.runs, round(other.median), other.same_model) == (4, 550, False)
    assert past.estimate("grpo", {"model": {"base": "pocket"}}) is None


def test_all_jobs_one_after_the_other_and_how_many_are_unknown(bench: Any) -> None:
    ran(bench, 60, "sft", base="pocket")
    known = past_runs(bench.database).estimate("sft", {"model": {"base": "pocket"}})

    assert total_words([known, known, None]) == (
        "about 2m 00s one after the other (2m 00s to 2m 00s), and 1 without past runs"
    )
    assert total_words([None]) == "no past runs to estimate the time from"


def test_failed_and_resumed_runs_say_nothing(bench: Any) -> None:
    bench.enqueue("a")
    bench.finish(bench.start(), Status.FAILED)
    wishes.retry(bench.database, 1)
    bench.finish(bench.start())

    assert past_runs(bench.database).seconds == []
