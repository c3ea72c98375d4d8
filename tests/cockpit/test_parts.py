"""The cells of a comparison by domain and task, and those on the whole."""

from typing import Any

import pytest

from cockpit import comparison
from cockpit.parts import Column, cells_of, columns_of
from store import lifecycle, records
from store.database import Database
from store.lifecycle import NewJob, Outcome
from store.schema import Status

DOMAINS = {"sums": "math", "proofs": "math", "python": "code"}


def suite(database: Database, name: str, **right: str) -> int:
    """A finished evaluation over a suite: for each task a 1 or 0 a question, or - where the grader failed."""
    _, [job_id] = lifecycle.enqueue(database, name, [NewJob(name, "eval", {})])
    lifecycle.claim(database, 99, [])
    events: list[records.Event] = []
    for task, bits in right.items():
        for place, bit in enumerate(bits):
            example: dict[str, Any] = {"example_id": f"{task}/q{place}", "sample": 0, "strict": bit == "1"}
            example["robust"] = True
            if bit != "-":
                events.append(
                    {"kind": "example", "time": 0.0, "key": f"{task}/q{place}/0", "fields": example}
                )
    asked = "".join(right.values())
    protocol = {"task": "suite", "split": "test", "data_hash": "d", "domains": DOMAINS}
    scores = {
        "strict": asked.count("1") / len(asked),
        "robust": 1.0,
        "grader_errors": asked.count("-") / len(asked),
    }
    for score, value in scores.items():
        fields = {"n": len(asked), "low": 0.1, "high": 0.9, "protocol": protocol}
        events.append({"kind": "score", "time": 0.0, "name": score, "value": value, "fields": fields})
    interval = {"n": len(right["python"]), "low": 0.25, "high": 0.75}
    events.append({"kind": "score", "time": 0.0, "name": "python.strict", "value": 0.5, "fields": interval})
    records.record(database, job_id, 0, 1, events)
    lifecycle.finish(database, job_id, Outcome(Status.SUCCEEDED, 0, None))
    return job_id


@pytest.fixture
def table(database: Database) -> comparison.Comparison:
    base = suite(database, "base", sums="0" * 20, proofs="10" * 5, python="1" * 20)
    better = suite(database, "better", sums="1" * 18 + "0-", proofs="10" * 5, python="1" * 20)
    return comparison.compare(database, [base, better])


def test_each_grader_has_a_column_for_the_whole_and_every_domain_and_task(
    table: comparison.Comparison,
) -> None:
    labels = [(column.grader, column.kind, column.label) for column in columns_of(table)]

    assert [label for grader, _, label in labels if grader == "strict"] == [
        "strict", "math", "code", "sums", "proofs", "python"
    ]  # fmt: skip
    assert labels[6:9] == [
        ("robust", "whole", "robust"),
        ("robust", "domain", "math"),
        ("robust", "domain", "code"),
    ]


def test_the_task_that_changed_has_the_verdict_and_the_others_have_none(table: comparison.Comparison) -> None:
    cells, (_, better) = cells_of(table), table.entries
    of = {
        c.label: cells[better.job.id, c]
        for c in columns_of(table)
        if c.kind != "whole" and c.grader == "strict"
    }
    sums = of["sums"].verdict

    assert sums is not None
    assert (sums.text, sums.n, sums.only_entry, sums.only_baseline, sums.left_out) == ("better", 19, 18, 0, 1)
    assert sums.p == pytest.approx(2 / 2**18)
    assert sums.p_adjusted == pytest.approx(3 * sums.p)  # a family of three tasks
    for task in ("proofs", "python"):
        verdict = of[task].verdict
        assert verdict is not None
        assert (verdict.text, verdict.difference, verdict.needed) == ("no difference shown", 0.0, None)
    assert (of["python"].share, of["python"].low, of["python"].high) == (1.0, 0.25, 0.75)


def test_a_domain_counts_its_tasks_alike_whatever_their_sizes(table: comparison.Comparison) -> None:
    base, better = table.entries
    math = Column("strict", "domain", "math")
    cells = cells_of(table)
    verdict = cells[better.job.id, math].verdict

    assert cells[base.job.id, math].share == pytest.approx((0 + 0.5) / 2)
    assert cells[better.job.id, math].share == pytest.approx((18 / 19 + 0.5) / 2)
    assert cells[base.job.id, math].verdict is None
    assert verdict is not None
    assert (verdict.text, verdict.difference) == ("better", pytest.approx(18 / 19 / 2))


def test_what_is_refused_on_the_whole_is_refused_in_every_part(database: Database) -> None:
    base = suite(database, "base", sums="0" * 20, proofs="10", python="1")
    other = suite(database, "other", sums="0" * 10, proofs="10", python="1")
    table = comparison.compare(database, [base, other])
    verdicts = [cells_of(table)[other, column].verdict for column in columns_of(table)]

    assert all(verdict and "different questions" in verdict.text for verdict in verdicts)
