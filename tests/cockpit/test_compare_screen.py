import csv
import io
from xml.etree import ElementTree

import pytest

from store import lifecycle
from store.lifecycle import NewJob


@pytest.fixture
def two_models(bench):
    """A weak and a strong evaluation of the same forty questions."""
    bench.enqueue("base", "full", engine="eval")
    for outcomes in ([index % 5 == 0 for index in range(40)], [index % 5 != 1 for index in range(40)]):
        job = bench.start()
        bench.score(job, outcomes)
        bench.finish(job)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
def test_marked_evaluations_get_a_paired_verdict(visit, two_models, size):
    async def look(person):
        await person.sees("✓ succeeded", "20.0%", "80.0%")
        await person.press("space", "space", "v")
        await person.sees("◆ base", "baseline", "full", "▲ better", "+60.0", "full is better than base")
        await person.sees("24 only this right", "0 only baseline right", "8 both right")
        await person.sees("metrics  strict 80.0%   robust 80.0%")
        assert ("robust" in person.line("difference")) is (size[0] == 200)

    visit(look, size)


def test_one_job_stands_for_all_evaluations_of_its_experiment(visit, two_models):
    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("◆ base", "▲ better")

    visit(look)


def test_another_baseline_turns_the_verdict_around(visit, two_models):
    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("▲ better")
        await person.press("G", "b")
        await person.sees("◆ baseline full", "▼ worse")
        await person.press("t")
        await person.sees("robust grading")

    visit(look)


def test_the_examples_behind_a_difference_side_by_side(visit, two_models):
    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("▲ better")
        await person.press("enter")
        await person.sees("only B right 24", "1 of 24", "test-2", "What is 2 + 1?", "gold answer 3")
        await person.sees("✗ wrong  answered 2", "✓ right  answered 3", "A  base", "B  full")
        await person.press("right")
        await person.sees("2 of 24", "test-3")
        await person.press("1")
        await person.sees("No example of this case")
        await person.press("4")
        await person.sees("1 of 8", "test-0")

    visit(look)


def test_completions_from_outside_are_shown_as_text(visit, bench):
    bench.enqueue("base", "full", engine="eval")
    for right in (False, True):
        job = bench.start()
        bench.score(
            job, [right], completion="\x1b]52;c;eA==\x07[@click=app.quit]x[/]\u202e", extracted="\x1b[1m7"
        )
        bench.finish(job)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("full")
        await person.press("enter")
        await person.sees("[@click=app.quit]x[/]", "answered 7")
        assert "\x1b" not in person.text

    visit(look)


def test_jobs_without_scores_are_explained(visit, bench):
    bench.enqueue("one", "two")

    async def look(person):
        await person.sees("queued")
        await person.press("space", "space", "v")
        await person.sees("Nothing to compare", "has no scores to compare")
        await person.press("escape")
        await person.sees("progress")

    visit(look)


def test_counts_are_no_shares_and_rounds_are_left_to_their_job(visit, two_models, bench):
    for name, value in (("budget/seconds", 3.828), ("budget/prompts", 64.0), ("r1/strict", 0.9)):
        bench.record(2, {"kind": "score", "name": name, "value": value, "fields": {}})

    async def look(person):
        await person.sees("demo: full")
        await person.press("v")
        await person.sees("budget/prompts 64   budget/seconds", "3.828")
        assert "r1/strict" not in person.text

    visit(look)


SUITE = {
    "task": "suite",
    "split": "test",
    "data_hash": "d",
    "domains": {"sums": "math", "proofs": "math", "python": "code"},
}


def a_suite(bench, job_id, **right):
    """An evaluation over a suite; for each task a 1 or 0 a question."""
    for task, bits in right.items():
        for place, bit in enumerate(bits):
            fields = {
                "example_id": f"{task}/q{place}", "sample": 0, "strict": bit == "1", "robust": True, "gold": "7",
                "question": f"{task} number {place}?", "completion": f"I say {bit}.", "extracted": bit,
            }  # fmt: skip
            bench.record(job_id, {"kind": "example", "key": f"{task}/q{place}/0", "fields": fields})
    asked = "".join(right.values())
    for name, value in (("strict", asked.count("1") / len(asked)), ("robust", 1.0)):
        fields = {"n": len(asked), "low": 0.1, "high": 0.9, "protocol": SUITE}
        bench.record(job_id, {"kind": "score", "name": name, "value": value, "fields": fields})
    bench.finish(job_id)


def test_the_cells_of_a_suite_are_walked_over_and_opened(visit, bench):
    bench.enqueue("base", "full", engine="eval")
    a_suite(bench, bench.start(), sums="0" * 12, proofs="01" * 6, python="1" * 12)
    a_suite(bench, bench.start(), sums="1" * 12, proofs="01" * 6, python="1" * 11 + "0")

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("◆ base", "strict grading   suite", "12 columns", "▲ better")
        await person.press("m")
        for part in ("strict", "math", "code", "sums", "→"):
            assert part in person.line("model  ")
        assert "[80.6% ▲]" in person.line("full  ")
        await person.press(*["right"] * 3)
        await person.sees(
            "strict grading of task sums", "[100.0% ▲]", "full is better than base (strict, sums)"
        )
        await person.sees("12 only this right", "adjusted for 3 comparisons")
        await person.press("right", "right")
        await person.sees("[91.7% ≈]", "n needed: a true gap like this would show", "1 only baseline right")
        await person.press("enter")
        await person.sees(
            "1 of 1", "python/q11", "strict, python", "only A right 1", "only B right 0", "both right 11"
        )
        await person.press("escape", "m")
        await person.sees("-8.3", "≈ not shown")
        await person.press("t")
        await person.sees("robust grading of task python")
        await person.press("escape")
        await person.sees("progress")
        await person.press("v")
        await person.sees("robust grading   suite")

    visit(look)


def test_examples_are_searched_and_sorted_by_mistake_and_their_words_compared(visit, bench):
    bench.enqueue("base", "full", engine="eval")
    solution = {"gold_reasoning": "1 + 1 = 2"}
    for wrong in ("the sum 4 + 1 = 6 gives six", None):
        job = bench.start()
        for place in range(4):
            right = wrong is None and place != 3
            fields = {
                "example_id": f"test-{place}", "sample": 0, "question": f"What is {place} + 1?", "gold": str(place + 1),
                "completion": f"Well, the sum {place} + 1 = {place + 1}" if right else wrong or "", "extracted": "6",
                "method": "tag", "strict": right, "robust": right, "terminated": wrong is None or place != 1, "tokens": 7,
            } | solution  # fmt: skip
            if wrong is None and place == 3:
                fields |= {"extracted": None}
            bench.record(job, {"kind": "example", "key": f"test-{place}/0", "fields": fields})
        for name in ("strict", "robust"):
            value = {"n": 4, "low": 0.0, "high": 1.0}
            bench.record(
                job, {"kind": "score", "name": name, "value": 0.75 * (wrong is None), "fields": value}
            )
        bench.finish(job)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v", "enter")
        await person.sees("only B right 3", "both wrong 1", "arithmetic slip", "A  base", "B  full")
        first, second = (person.app.screen.query_one(name) for name in ("#first", "#second"))
        assert [first.region.y < second.region.y, first.region.x == second.region.x] == [True, True]
        assert [text for line in first._lines for text, paint in line if paint == "own"][-1] == "6 gives six"
        await person.press("d")
        assert not [text for line in first._lines for text, paint in line if paint == "own"]
        await person.press("slash", *"IS 2")
        await person.sees("only B right 1", "1 of 1", "test-2", "with `IS 2`")
        await person.press("enter", "escape")
        await person.sees("only B right 3")
        await person.press("c")
        await person.sees("mistake: truncated", "only B right 1", "test-1", "cut off", "both wrong 0")
        await person.press("c")
        await person.sees(
            "mistake: no answer", "only B right 0", "both wrong 1", "No example of this case.   mistake"
        )
        await person.press("3")
        await person.sees("test-3", "no answer found")
        await person.press("escape", "y")
        await person.sees("only B right 3", "The example was copied. Also in")
        [copied] = (person.app.home / "exports").glob("*-example.md")
        assert "### test-3" in copied.read_text() and "Gold answer: 4" in copied.read_text()
        assert "sum 4 + 1 = 6" in person.app.clipboard

    visit(look)


def test_on_a_wide_screen_the_completions_stand_side_by_side(visit, two_models):
    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v", "enter")
        await person.sees("only B right 24")
        first, second = (person.app.screen.query_one(name).region for name in ("#first", "#second"))
        assert first.y == second.y and first.x < second.x

    visit(look, (200, 50))


def test_a_chosen_baseline_stays_and_a_refusal_says_why(visit, two_models, bench):
    bench.enqueue("other", engine="eval")
    job = bench.start()
    bench.score(job, [True] * 12)
    bench.finish(job)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("space", "space", "space", "v")
        await person.sees("◆ baseline base", "? refused")
        await person.press("G")
        await person.sees("? Not comparable: they answered different questions (12 of 40 in common)")
        await person.press("k", "b")
        await person.sees("◆ baseline full", "▼ worse")
        await person.press("escape", "v")
        await person.sees("◆ baseline full")

    visit(look)


def test_a_comparison_is_exported_and_copied(visit, two_models, tmp_path):
    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("▲ better")
        await person.press("y")
        await person.sees("The comparison was copied. Also in")
        assert person.app.clipboard.startswith("Baseline: base (job 1).\n\n| model | job | strict")
        await person.press("e")
        await person.sees("Export into which directory?", "exports")
        await person.press("ctrl+u", *str(tmp_path / "out"), "enter")
        await person.until(lambda: len(list((tmp_path / "out").glob("*"))) == 3, "three files")
        await person.sees("Written:")

    visit(look, (200, 50))
    markdown, table, plot = (
        next((tmp_path / "out").glob(f"*.{kind}")).read_text() for kind in ("md", "csv", "svg")
    )
    assert "| full | 2 | 80.0% | 70.0% to 90.0% | +60.0 pp |" in markdown
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [(row["model"], row["grader"], row["verdict"]) for row in rows] == [
        ("base", "strict", "baseline"), ("full", "strict", "better"),
        ("base", "robust", "baseline"), ("full", "robust", "better"),
    ]  # fmt: skip
    assert (rows[1]["only_this_right"], rows[1]["only_baseline_right"], rows[1]["questions"]) == (
        "24",
        "0",
        "40",
    )
    root = ElementTree.fromstring(plot)
    assert any("80.0%  better" in (node.text or "") for node in root.iter())


def test_what_sets_two_models_apart_is_a_key_away(visit, bench):
    for rate in (0.1, 0.2):
        lifecycle.enqueue(bench.database, "demo", [NewJob(f"lr{rate}", "eval", {"optim": {"rate": rate}})])
        job = bench.start()
        bench.score(job, [True] * 3)
        bench.finish(job)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("space", "space", "v")
        await person.sees("No difference shown")
        await person.press("d")
        await person.sees("What differs:", "job 1 (lr0.1) and job 2 (lr0.2)", "optim.rate  - 0.1  + 0.2")
        await person.press("y")
        await person.sees("copied. Also in")
        await person.press("d", "g", "b", "d")
        await person.sees("Move to a model other than the baseline")

    visit(look)


def test_a_cockpit_that_only_looks_copies_and_writes_no_file(visit, two_models):
    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("▲ better")
        await person.press("y")
        await person.sees("No file was written")
        assert "| full | 2 |" in person.app.clipboard
        await person.press("e", "enter")
        await person.sees("it was opened with --read-only")
        assert not (person.app.home / "exports").exists()

    visit(look, (200, 50), read_only=True)


def test_seeds_are_folded_into_a_band_and_unfolded_by_key(visit, bench):
    bench.enqueue("base", "full[seed=1]", "full[seed=2]", engine="eval")
    for every in (4, 2, 3):
        job = bench.start()
        bench.score(job, [index % every != 0 if every < 4 else index % 4 == 0 for index in range(40)])
        bench.finish(job)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("full × 2 seeds", "2 seeds: 50.0% to 65.0%, mean 57.5%; u unfolds them.")
        assert "full[seed=1]" not in person.text and "57.5%" in person.line("full × 2")
        await person.sees("metrics  strict 57.5%", "it got right in more seeds")
        await person.press("m")
        await person.sees("[57.5%")
        await person.press("m", "enter")
        await person.sees("Several seeds stand here")
        await person.press("u")
        await person.sees("full[seed=1]", "full[seed=2]", "enter shows the examples")
        await person.press("enter")
        await person.sees("A  base", "B  full[seed=1]")

    visit(look)


def test_training_curves_of_the_models_lie_over_each_other(visit, bench):
    jobs = []
    for name in ("low", "high", "mid"):
        jobs.append(NewJob(name, "sft", {"engine": "sft"}))
        jobs.append(NewJob(f"{name}/eval", "eval", {"model": {"from": name}}, ((name, name),)))
    lifecycle.enqueue(bench.database, "demo", [*jobs, NewJob("base", "eval", {})])
    for _ in range(7):
        job = bench.start()
        if job in (1, 3, 5):
            bench.train(job, 1, 20)
            bench.record(job, {"kind": "metrics", "step": 20, "values": {"loss": job / 10}})
        else:
            bench.score(job, [True] * 5)
        bench.finish(job)

    async def look(person):
        await person.sees("✓ succeeded")
        await person.press("v")
        await person.sees("No difference shown")
        await person.press("c")
        await person.sees(
            "━ A low 0.1000", "╍ B high 0.3000", "╍ C mid 0.5000", "without curves: base", "step"
        )
        await person.press("down", "down")
        await person.sees("━ A mid 0.5000", "╍ B low 0.1000")
        await person.press("escape")
        await person.sees("No difference shown")

    visit(look)
