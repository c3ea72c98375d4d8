import pytest

from engines.prompts.spec import PromptSpec
from engines.statistics.intervals import wilson
from engines.tasks.example import Example
from engines.tasks.scored import score
from engines.tasks.summary import summarize

SPEC = PromptSpec()


def row(question, sample, answer, *, gold="7", tokens=10, terminated=True):
    example = Example(question, "Q?", "steps", gold)
    text = answer if answer.startswith("!") else SPEC.completion("one two", answer)
    return score(
        example,
        sample,
        text,
        SPEC,
        terminated=terminated,
        tokens=tokens,
        count_tokens=lambda text: len(text.split()),
    )


def by_name(rows):
    return {figure.name: figure for figure in summarize(rows)}


def test_greedy_scores_have_wilson_intervals_over_questions():
    rows = [row("a", 0, "7"), row("b", 0, "8"), row("c", 0, "! it is 7"), row("d", 0, "7", terminated=False)]
    scores = by_name(rows)
    low, high = wilson(1, 4)
    assert (scores["strict"].value, scores["strict"].fields) == (0.25, {"n": 4, "low": low, "high": high})
    assert scores["robust"].value == 0.75
    assert scores["format_gap"].value == 0.5
    assert scores["thinking"].value == scores["answered"].value == 0.75
    assert scores["truncated"].value == 0.25


def test_lengths_are_mean_and_nearest_rank_percentiles():
    scores = by_name([row(f"q{n}", 0, "7", tokens=n) for n in range(1, 101)])
    assert (scores["mean_tokens"].value, scores["p50_tokens"].value, scores["p95_tokens"].value) == (
        50.5,
        50,
        95,
    )
    assert by_name([row("a", 0, "7", tokens=3)])["p95_tokens"].value == 3


def test_several_samples_count_once_a_question_in_the_interval():
    rows = [row(f"q{n}", sample, "7" if sample < n % 3 else "8") for n in range(30) for sample in range(2)]
    scores = by_name(rows)
    assert scores["robust"].fields["n"] == 30
    assert scores["robust"].value == scores["avg@2"].value == scores["pass@1"].value == pytest.approx(0.5)
    assert scores["pass@2"].value == pytest.approx(2 / 3)
    low, high = wilson(20, 30)
    assert scores["pass@2"].fields == {"n": 30, "low": low, "high": high}
    assert scores["robust"].fields["high"] - scores["robust"].fields["low"] > 0.25


def test_equal_or_very_rare_successes_still_leave_doubt():
    halves = by_name([row(f"q{n}", sample, "78"[sample]) for n in range(10) for sample in range(2)])["robust"]
    low, high = wilson(10, 20)
    assert (halves.fields["low"], halves.fields["high"]) == pytest.approx((low, high))
    once = [row(f"q{n}", sample, "7" if n == sample == 0 else "8") for n in range(50) for sample in range(4)]
    rare = by_name(once)["robust"].fields
    assert 0 < rare["low"] < 1 / 200 and rare["high"] == pytest.approx(wilson(1, 200)[1], rel=0.1)


def test_majority_votes_ignore_completions_without_a_number():
    answers = ["7", "! no idea", "! none", "8", "7"]
    scores = by_name([row("a", sample, answer) for sample, answer in enumerate(answers)])
    assert scores["maj@5"].value == 1.0 and scores["pass@5"].value == 1.0
    assert scores["maj@1"].value == pytest.approx(2 / 5)


def test_equal_wrong_numbers_written_differently_vote_together():
    answers = ["7", "7", "8", "8.0", "$8"]
    assert by_name([row("a", sample, answer) for sample, answer in enumerate(answers)])["maj@5"].value == 0.0


def test_thinking_tokens_count_the_working_out_alone():
    assert row("a", 0, "7").thinking_tokens == 2
    assert row("a", 0, "! 7").thinking_tokens == 0


def test_keys_name_example_and_sample():
    assert row("gsm8k-test-17", 3, "7").key == "gsm8k-test-17/3"
