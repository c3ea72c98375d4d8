"""Why models are wrong, side by side."""

import json

import pytest
from click.testing import CliRunner

from cockpit.analysis import analyze
from cockpit.cli.analyze import analyze as command
from store.database import StoreError


@pytest.fixture
def two_models(bench):
    """One that reckons wrong, and one that is right more often and cut off once."""
    bench.enqueue("slips", "longer", engine="eval")
    for job_id, completion, terminated in ((1, "1+1=3 It is 9.", True), (2, "1+1=2 and on", False)):
        bench.start()
        wrong = {"completion": completion, "terminated": terminated, "gold_reasoning": "1+1=2", "gold": "2"}
        bench.score(job_id, [False], extracted="9", tokens=30, **wrong)
        rows = [
            {
                "robust": True,
                "extracted": "2",
                "completion": "1+1=2 It is 2.",
                "tokens": 10,
                "example_id": f"t{i}",
            }
            for i in range(job_id)
        ]
        for i, row in enumerate(rows):
            fields = {
                "sample": 0,
                "gold_reasoning": "1+1=2",
                "gold": "2",
                "strict": False,
                "terminated": True,
            } | row
            bench.record(job_id, {"kind": "example", "key": f"t{i}/0", "fields": fields})
        bench.finish(job_id)


def test_accuracy_endings_and_mistakes_are_counted_over_all_completions(two_models, database):
    slips, longer = analyze(database, [1, 2])
    assert (slips.n, slips.robust, slips.ended, slips.contains) == (2, 0.5, 1.0, 0.5)
    assert {kind: n for kind, n in slips.mistakes.items() if n} == {"arithmetic_slip": 1}
    assert slips.first_wrong["1"] == 1
    assert (longer.n, longer.ended, longer.contains) == (3, pytest.approx(2 / 3), 1.0)
    assert {kind: n for kind, n in longer.mistakes.items() if n} == {"truncated": 1}
    assert (longer.tokens_right, longer.tokens_wrong) == (10, 30)


def test_the_command_prints_a_table_a_markdown_table_and_json(two_models, database):
    said = CliRunner().invoke(command, ["1", "2"]).output
    assert "arithmetic slip" in said
    assert "1 (100.0%)" in said
    assert "| mistake | slips | longer |" in CliRunner().invoke(command, ["1", "2", "--markdown"]).output
    told = json.loads(CliRunner().invoke(command, ["-e", "demo", "--json"]).output)
    assert [one["job"] for one in told] == [1, 2]
    assert told[1]["mistakes"]["truncated"] == 1


def test_a_job_without_examples_is_refused_with_a_hint(bench, database):
    bench.enqueue("one", engine="eval")
    with pytest.raises(StoreError, match="has no scores"):
        analyze(database, [1])
    with pytest.raises(StoreError, match="hint: name an evaluation"):
        analyze(database, [])
