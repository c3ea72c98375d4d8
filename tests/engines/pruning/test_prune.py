import pytest

from engines.prompts.spec import PromptSpec
from engines.pruning.collapse import falls, narrowing, think_statistics
from engines.pruning.prune import Rules, as_example, by_question, eval_part, right_solutions, split_rows
from engines.pruning.round_files import read_rows, write_rows
from engines.pruning.selection import Solution
from engines.tasks.example import Example
from engines.tasks.scored import score

SPEC = PromptSpec()
RS, RE, SS, SE = SPEC.tags
EXAMPLE = Example("e", "Six bags of four and three more?", "6*4=24\n24+3=27", "27")
RULES = Rules("strict", True, True, ["text", "equations", "ngrams"], "random", 1, 0)


def row(text, sample=0, terminated=True, example=EXAMPLE):
    return score(example, sample, text, SPEC, terminated=terminated, tokens=9, count_tokens=len)


def said(reasoning, answer="27"):
    return f"{RS}{reasoning}{RE}{SS}{answer}{SE}"


@pytest.mark.parametrize(
    "text, terminated, why",
    [
        (said("6*4=24, 24+3=27"), True, None),
        (said("6*4=24, 24+3=27", "28"), True, "wrong"),
        (said("6*4=25, so 27"), True, "wrong_steps"),  # the right answer for a wrong reason
        (said(""), True, "without_reasoning"),
        (f"6*4=24 {SS}27{SE}", True, "without_reasoning"),
        (said("6*4=24, 24+3=27"), False, "wrong"),  # strict asks for an end
    ],
)
def test_what_may_be_trained_on_and_why_not(text, terminated, why):
    kept, counts = right_solutions([row(text, terminated=terminated)], RULES, SPEC)
    assert counts == {"samples": 1, **({why: 1} if why else {})}
    assert [solution.reasoning for solution in kept] == ([] if why else ["6*4=24, 24+3=27"])


def test_another_grader_takes_the_models_own_text_word_for_word():
    from dataclasses import replace

    rules = replace(RULES, grader="tpt_strict", step_check=False)
    text = "Well, 6*4=25 and so on.\n#### 27"
    [solution], _ = right_solutions([row(text)], rules, SPEC)
    assert as_example(solution, EXAMPLE, "tpt_strict").completion == text
    assert right_solutions([row(text, terminated=False)], rules, SPEC)[1]["unfinished"] == 1
    [unfinished], _ = right_solutions(
        [row(text, terminated=False)], replace(rules, finished_only=False), SPEC
    )
    assert unfinished.text == text
    gold = Solution("e", -1, EXAMPLE.reasoning, source="gold")
    assert as_example(gold, EXAMPLE, "tpt_strict").completion == "6*4=24\n24+3=27\n#### 27"
    assert as_example(gold, EXAMPLE, "strict").completion is None


EXAMPLES = [Example(f"e{n}", f"What is {n}?", "", str(n)) for n in range(40)]


def solutions(*samples):
    return [Solution(f"e{n}", sample, f"way {sample}", "text") for n in range(40) for sample in samples]


def test_rows_are_counted_exactly_and_every_question_comes_before_any_comes_twice():
    from dataclasses import replace

    chosen = by_question(solutions(0, 1, 2), replace(RULES, max_per_question=2, pick="all"))
    rows, _ = split_rows(chosen, EXAMPLES, set(), 50)
    assert len(rows) == 50
    assert [solution.example_id for solution in rows[:40]] == [example.id for example in EXAMPLES]
    assert [solution.example_id for solution in rows[40:]] == [example.id for example in EXAMPLES[:10]]
    assert len(split_rows(chosen, EXAMPLES, set(), None)[0]) == 80


def test_the_split_is_by_question_the_same_in_all_rounds_and_never_greedy():
    held_out = eval_part(EXAMPLES, 200)
    assert len(held_out) == 4 == len(eval_part(list(reversed(EXAMPLES)), 200) & held_out)
    for samples in ((0,), (1, 2)):
        chosen = by_question(solutions(*samples), RULES)
        rows, evaluation = split_rows(chosen, EXAMPLES, held_out, None)
        assert {solution.example_id for solution in evaluation} == held_out
        assert not {solution.example_id for solution in rows} & held_out
    assert len(eval_part(EXAMPLES, 2)) == 2


def test_a_fall_is_more_than_the_delta_from_one_round_to_the_next():
    assert falls({0: 0.5, 1: 0.49, 2: 0.4, 3: 0.45, 4: 0.3}, 0.02) == [2, 4]
    assert falls({0: 0.5}, 0.0) == []


def test_narrowing_says_what_fell():
    before, now = (
        {"pass@1": 0.3, "pass@4": 0.6, "distinct": 0.9},
        {"pass@1": 0.5, "pass@4": 0.5, "distinct": 0.4},
    )
    assert narrowing(before, now, 0.2, None) is None
    assert "pass@4" in str(narrowing(before, now, 0.05, None))
    assert "distinct" in str(narrowing(before, now, 0.2, 0.3))


def test_the_collapse_monitor_counts_different_ways():
    ways = [said("6*4=24, 24+3=27"), said("4*6=24, 24+3=27"), said("6*4=24\n24+3=27"), said("6+4=10", "10")]
    alike = [said("6*4=24, 24+3=27")] * 4
    for texts, distinct, right, gap in ((ways, 3 / 4, 2, 1 / 4), (alike, 1 / 4, 1, 0)):
        figures = think_statistics([row(text, n) for n, text in enumerate(texts)], "strict", SPEC)
        assert (figures["distinct"], figures["distinct_right"]) == (distinct, right)
        assert figures["pass@4"] == 1 and figures["maj_avg_gap"] == gap


def test_rows_come_back_from_a_file_as_they_were_whatever_a_model_wrote(tmp_path):
    rows = [row(text) for text in ("", said("😀\u2028line\u2029paragraph\x85next\x0b\x1e"), "\r\n\n\ufffd")]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl") == rows
    write_rows(tmp_path / "none.jsonl", [])
    assert read_rows(tmp_path / "none.jsonl") == []
