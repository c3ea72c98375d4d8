"""Health of jobs in a store, and on their screen."""

import math
from typing import Any

from cockpit.health_reads import AGAIN_SECONDS, HealthCheck, judge
from store import jobs, metrics
from store.database import Database
from store.schema import Status


def log(bench: Any, job_id: int, first: int, rows: list[dict[str, Any]]) -> None:
    bench.record(
        job_id, *({"kind": "metrics", "step": first + i, "values": row} for i, row in enumerate(rows))
    )


def falling(steps: int) -> list[dict[str, Any]]:
    return [{"loss": 0.5 + 2 * math.exp(-i / 60) + 0.02 * math.sin(7 * i)} for i in range(steps)]


def test_a_job_of_rewards_is_judged_by_its_groups_and_not_by_the_height_of_its_loss(
    database: Database, bench: Any
) -> None:
    bench.enqueue("policy", engine="grpo")
    job_id = bench.start()
    rows = [
        {
            "loss": 5.0 if i == 70 else 0.01, "reward": 0.5, "frac_reward_zero_std": 1.0 if i > 40 else 0.2,
            "clipped_ratio": 0.0, "entropy": 0.5, "length": 100.0, "gpu/0/util": 0.0,
        }
        for i in range(100)
    ]  # fmt: skip
    log(bench, job_id, 1, rows)
    found = judge(database, jobs.get_job(database, job_id), metrics.list_series(database, [job_id]))
    assert [verdict.kind for verdict in found] == ["dead-groups"]
    assert "100.0% since step 81" in found[0].words


def test_what_only_a_running_job_can_suffer_from_is_not_said_of_an_ended_one(
    database: Database, bench: Any
) -> None:
    bench.enqueue("train")
    job_id = bench.start()
    samples = [
        {"kind": "metrics", "step": 10 * i, "values": {"gpu/0/util": 0.0, "steps_per_second": 1.0 if i < 100 else 0.1}}
        for i in range(120)
    ]  # fmt: skip
    bench.record(job_id, *samples)

    def kinds() -> list[str]:
        return [
            v.kind
            for v in judge(database, jobs.get_job(database, job_id), metrics.list_series(database, [job_id]))
        ]

    assert kinds() == ["idle-gpu", "stall"]
    bench.finish(job_id, Status.FAILED)
    assert kinds() == []


def test_a_busy_job_is_not_judged_at_every_point(database: Database, bench: Any) -> None:
    bench.enqueue("train")
    job_id = bench.start()
    log(bench, job_id, 0, falling(100))
    now = [100.0]
    check = HealthCheck(lambda: now[0])

    def kinds() -> list[str]:
        series = metrics.list_series(database, [job_id])
        return [verdict.kind for verdict in check.judge(database, jobs.get_job(database, job_id), series)]

    assert kinds() == []
    log(bench, job_id, 100, [{"loss": "nan"}])
    assert kinds() == [], "it was judged a moment ago"
    now[0] += AGAIN_SECONDS
    assert kinds() == ["not-finite"]


def test_the_worst_stands_under_the_head_and_all_in_the_results(visit: Any, bench: Any) -> None:
    bench.enqueue("train")
    job_id = bench.start()
    log(bench, job_id, 0, [*falling(100), {"loss": 40.0}, {"loss": 42.0}, {"loss": "nan"}])

    async def look(person: Any) -> None:
        await person.sees("● running")
        await person.press("enter")
        await person.sees("✗ loss is NaN or infinite 1 time, first near step 102", "(+1 in Results)")
        await person.press("5")
        await person.sees("Health", "✗ loss spiked to 42", "deviations above")

    visit(look)
