import pytest


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
