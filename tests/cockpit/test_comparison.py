"""Verdicts: what the numbers allow to say, and what is refused."""

from typing import Any

import pytest
from click.testing import CliRunner

from cockpit import comparison
from cockpit.cli.results import compare
from daemon.ingest import ingest
from engines.events import EventWriter
from engines.statistics.power import mcnemar_power
from store import jobs, lifecycle, records
from store.database import Database, StoreError
from store.lifecycle import NewJob, Outcome
from store.schema import Status

PROTOCOL = {
    "task": "pocket-math",
    "split": "test",
    "data_hash": "d",
    "prompt_hash": "p",
    "sampling": {"temperature": 0},
}


def evaluation(
    database: Database, name: str, right: str, protocol: dict[str, Any] = PROTOCOL, samples: int = 1
) -> int:
    """A finished evaluation; `right` has a 1 or 0 for each question (and sample)."""
    _, [job_id] = lifecycle.enqueue(database, name, [NewJob(name, "eval", {})])
    lifecycle.claim(database, 99, [])
    events: list[records.Event] = []
    for i, bit in enumerate(right):
        fields = {
            "example_id": f"q{i // samples}",
            "sample": i % samples,
            "strict": bit == "1",
            "robust": True,
        }
        events.append(
            {"kind": "example", "time": 0.0, "key": f"q{i // samples}/{i % samples}", "fields": fields}
        )
    value = right.count("1") / len(right)
    fields = {"n": len(right), "low": 0.0, "high": 1.0, "protocol": protocol}
    events.append({"kind": "score", "time": 0.0, "name": "strict", "value": value, "fields": fields})
    records.record(database, job_id, 0, 1, events)
    lifecycle.finish(database, job_id, Outcome(Status.SUCCEEDED, 0, None))
    return job_id


def verdict(database: Database, first: int, second: int) -> comparison.Verdict:
    table = comparison.compare(database, [first, second])
    found = table.verdict(table.entries[1], "strict")
    assert found is not None
    return found


def test_a_clear_difference_is_called_better_with_its_counts(database: Database) -> None:
    a = evaluation(database, "a", "0" * 15 + "1" * 5 + "0" * 30)
    b = evaluation(database, "b", "1" * 15 + "0" * 1 + "1" * 4 + "0" * 30)
    said = verdict(database, a, b)

    assert (said.n, said.only_baseline, said.only_entry, said.text) == (50, 1, 15, "better")
    assert said.difference == pytest.approx(14 / 50)
    assert said.p == pytest.approx(2 * 17 / 2**16)
    assert said.low < said.difference < said.high


def test_the_same_difference_the_other_way_is_called_worse(database: Database) -> None:
    a, b = evaluation(database, "a", "1" * 20 + "0" * 30), evaluation(database, "b", "0" * 50)

    assert verdict(database, a, b).text == "worse"


def test_a_difference_that_chance_makes_is_no_verdict(database: Database) -> None:
    a, b = evaluation(database, "a", "1100000000"), evaluation(database, "b", "0011100000")

    assert verdict(database, a, b).text == "no difference shown"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt_hash": "other"}, "the prompt differs (p and other)"),
        ({"sampling": {"temperature": 1}}, "the decoding differs"),
        ({"split": "dev"}, "the split differs"),
        ({"data_hash": "e"}, "the set of questions differs"),
    ],
)
def test_unlike_evaluations_are_refused_with_the_reason(
    database: Database, change: dict[str, Any], words: str
) -> None:
    a, b = evaluation(database, "a", "10"), evaluation(database, "b", "01", PROTOCOL | change)

    assert words in verdict(database, a, b).text


def test_different_questions_are_refused(database: Database) -> None:
    a, b = evaluation(database, "a", "101"), evaluation(database, "b", "10")

    assert "different questions (2 of 3 in common)" in verdict(database, a, b).text


def a_grader_failed(database: Database, job_id: int, share: float = 0.05) -> None:
    score = {"kind": "score", "time": 0.0, "name": "grader_errors", "value": share, "fields": {}}
    records.record(database, job_id, 1, 2, [score])


def test_questions_that_a_grader_failed_on_are_left_out_of_both_and_counted(database: Database) -> None:
    a = evaluation(database, "a", "0" * 40)
    b = evaluation(database, "b", "1" * 30 + "0" * 8)
    assert "different questions (38 of 40 in common)" in verdict(database, a, b).text

    a_grader_failed(database, b)
    for first, second, word in ((a, b, "better"), (b, a, "worse")):
        said = verdict(database, first, second)
        assert (said.n, said.left_out, said.text) == (38, 2, word)
    done = CliRunner().invoke(compare, [str(a), str(b)], catch_exceptions=False)
    assert "better (2 questions left out: a grader failed on them)" in done.stdout


def test_too_many_questions_that_a_grader_failed_on_are_refused(database: Database) -> None:
    a, b = evaluation(database, "a", "0" * 40), evaluation(database, "b", "1" * 30)
    a_grader_failed(database, b, 0.25)

    assert "different questions (30 of 40 in common)" in verdict(database, a, b).text


def test_where_no_difference_is_shown_the_questions_that_would_show_it_are_told(database: Database) -> None:
    a = evaluation(database, "a", "1100000000" * 3)
    b = evaluation(database, "b", "0011100000" * 3)
    c = evaluation(database, "c", "1100000000" * 3)
    alone, among = verdict(database, a, b), comparison.compare(database, [a, b, c]).verdicts[0]

    assert alone.text == among.text == "no difference shown"
    assert alone.needed is not None and among.needed is not None
    assert 30 < alone.needed < among.needed  # two comparisons at once ask for a stricter test
    assert mcnemar_power(alone.needed, alone.difference, alone.spread) == pytest.approx(0.8, abs=0.06)
    assert verdict(database, a, c).needed is None
    done = CliRunner().invoke(compare, [str(a), str(b)], catch_exceptions=False)
    assert f"no difference shown (this gap needs {alone.needed:,} questions)" in done.stdout


def test_several_samples_are_compared_by_question(database: Database) -> None:
    a = evaluation(database, "a", "10" * 60, samples=2)
    b = evaluation(database, "b", "11" * 60, samples=2)
    said = verdict(database, a, b)

    assert (said.n, said.only_entry, said.difference, said.text) == (60, 60, 0.5, "better")


def test_p_values_of_a_table_are_adjusted(database: Database) -> None:
    base = evaluation(database, "base", "0" * 8)
    others = [evaluation(database, f"m{i}", "1" * 6 + "0" * 2) for i in range(3)]
    table = comparison.compare(database, [base, *others])
    found = table.verdict(table.entries[1], "strict")

    assert found is not None
    assert (found.p, found.p_adjusted) == (pytest.approx(2 / 2**6), pytest.approx(6 / 2**6))
    assert found.text == "no difference shown"


def test_another_baseline_can_be_chosen(database: Database) -> None:
    a, b = evaluation(database, "a", "0000000000"), evaluation(database, "b", "1111111111")
    table = comparison.compare(database, [a, b], baseline_id=b)

    assert table.baseline.label == "b"
    assert [v.text for v in table.verdicts if v.grader == "strict"] == ["worse"]


def test_a_training_job_stands_for_its_evaluation(database: Database) -> None:
    _, [train, evaluate] = lifecycle.enqueue(
        database, "x", [NewJob("full", "sft", {}), NewJob("full/eval", "eval", {}, (("full", "full"),))]
    )
    with pytest.raises(StoreError, match=r"job 1 \(full\): has no scores to compare\nhint"):
        comparison.compare(database, [train])
    for job_id in (train, evaluate):
        lifecycle.claim(database, 9, [])
        if job_id == evaluate:
            fields = {"n": 1, "low": 0.0, "high": 1.0, "protocol": PROTOCOL}
            score = {"kind": "score", "time": 0.0, "name": "strict", "value": 1.0, "fields": fields}
            records.record(database, evaluate, 0, 1, [score])
        lifecycle.finish(database, job_id, Outcome(Status.SUCCEEDED, 0, None))

    (entry,) = comparison.compare(database, [train, evaluate]).entries
    assert (entry.job.id, entry.label) == (evaluate, "full")


def test_an_experiment_that_is_named_like_a_number_is_not_taken_for_another(database: Database) -> None:
    both = [NewJob("a", "sft", {}), NewJob("a/eval", "eval", {}, (("a", "a"),))]
    fields = {"n": 1, "low": 0.0, "high": 1.0, "protocol": PROTOCOL}
    for name in ("2", "other"):
        _, [trained, evaluated] = lifecycle.enqueue(database, name, both)
        for job_id in (trained, evaluated):
            lifecycle.claim(database, 99, [])
            if job_id == evaluated:
                score = {"kind": "score", "time": 0.0, "name": "strict", "value": 0.5, "fields": fields}
                records.record(database, job_id, 0, 1, [score])
            lifecycle.finish(database, job_id, Outcome(Status.SUCCEEDED, 0, None))

    assert comparison.load_entry(database, trained).job.id == evaluated
    assert comparison.evaluations_of(database, 2) == [evaluated]


def tpt_job(database: Database, right: str) -> int:
    """A Think-Prune-Train job as it reports itself: scores of each round, then those of its result as `eval` has them."""
    _, [job_id] = lifecycle.enqueue(database, "loop", [NewJob("tpt", "tpt", {})])
    lifecycle.claim(database, 99, [])
    run_dir = database.run_dir(job_id)
    run_dir.mkdir(parents=True)
    writer = EventWriter(run_dir)
    share = right.count("1") / len(right)
    interval = {"n": len(right), "low": 0.0, "high": 1.0}
    for number in (0, 1):
        against = {"against_base": {"difference": 0.5, "p": 0.001}} if number else {}
        for grader in ("strict", "robust"):
            writer.emit("score", name=f"r{number}/{grader}", value=share * number, fields=interval | against)
        writer.emit("score", name=f"r{number}/pass@4", value=0.9, fields=interval)
    for index, bit in enumerate(right):
        fields = {"example_id": f"q{index}", "sample": 0, "strict": bit == "1", "robust": True}
        writer.emit("example", key=f"q{index}/0", fields=fields)
    for grader in ("strict", "robust"):
        writer.emit("score", name=grader, value=share, fields=interval | {"protocol": PROTOCOL})
    writer.emit("score", name="format_gap", value=0.0, fields={})
    writer.close()
    ingest(database, jobs.get_job(database, job_id))
    lifecycle.finish(database, job_id, Outcome(Status.SUCCEEDED, 0, None))
    return job_id


def test_a_tpt_job_stands_for_the_evaluation_of_its_result(database: Database) -> None:
    base, loop = evaluation(database, "base", "0" * 20), tpt_job(database, "1" * 15 + "0" * 5)
    said = verdict(database, base, loop)

    assert (said.entry.label, said.n, said.only_entry, said.text) == ("tpt", 20, 15, "better")
    assert comparison.evaluations_of(database, "loop") == [loop]
    assert "r1/strict" in said.entry.scores


def test_comparing_a_tpt_job_on_the_command_line(database: Database) -> None:
    base, loop = evaluation(database, "base", "0" * 20), tpt_job(database, "1" * 15 + "0" * 5)
    done = CliRunner().invoke(compare, [str(base), str(loop)], catch_exceptions=False)
    lines = [line.split() for line in done.stdout.splitlines()]

    assert ["tpt", str(loop), "20", "75.0%"] in [line[:4] for line in lines]
    assert any(line[:4] == ["tpt", "strict", "+75.0", "pp"] and line[-1] == "better" for line in lines)
