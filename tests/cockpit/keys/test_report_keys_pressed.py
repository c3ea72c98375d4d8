"""Every key of an experiment's report."""

from typing import Any

from store import jobs, lifecycle, wishes
from store.database import Database
from store.lifecycle import NewJob
from store.schema import Status


def copied(person: Any) -> bool:
    return bool(list((person.app.home / "exports").glob("*-report.md")))


def cancelled(database: Database) -> bool:
    wishes.request_cancel(database, 3)
    return jobs.get_job(database, 3).status is Status.CANCELLED


WALKS: dict[str, list[tuple[str, Any, Any]]] = {
    "a report": [
        ("", (), "full-128"),
        ("queue.report", "p", "against training samples"),
        ("", "G", "job 3 (full-512) waits"),
        ("", (), lambda person: cancelled(person.app.feed.database)),
        ("report.read-again", "R", "job 3 (full-512) is cancelled"),
        ("", "g", "against training samples"),
        ("report.x-axis", "x", "against seconds of training"),
        ("report.grader", "t", "robust accuracy"),
        ("report.copy", "y", copied),
        ("report.export", "e", "Write the report to which file?"),
        ("", "escape", ("gone", "Write the report to which file?")),
        ("report.back", "p", "by activity"),
        ("", "p", "against training samples"),
        ("report.back", "backspace", "by activity"),
        ("", "p", "against training samples"),
        ("report.back", "escape", "by activity"),
    ],
}


def trained(bench: Any, budget: int, right: int) -> None:
    job_id = bench.start()
    bench.score(job_id, [True] * right + [False] * (20 - right))
    values = (("budget/samples", budget), ("budget/seconds", budget / 10))
    bench.record(
        job_id, *({"kind": "score", "name": name, "value": value, "fields": {}} for name, value in values)
    )
    bench.finish(job_id)


def test_each_key_of_a_report_does_what_it_says(walk: Any, bench: Any) -> None:
    new = [
        NewJob(f"full-{budget}", "sft", {"engine": "sft", "train_samples": budget})
        for budget in (64, 128, 512)
    ]
    lifecycle.enqueue(bench.database, "demo", new)
    for budget, right in ((64, 5), (128, 15)):
        trained(bench, budget, right)

    walk(WALKS["a report"], size=(120, 40))
