import json
from pathlib import Path

import pytest

from engines.jepa.fields import StepsBlock
from engines.jepa.splitters import split_steps
from engines.tasks.teacher import Solution, solution_of, solution_part, working_out

REPLIES = [
    json.loads(line) for line in (Path(__file__).parent / "teacher_replies.jsonl").read_text().splitlines()
]


def test_right_replies_become_steps_with_blank_lines_between_and_the_gold_answer():
    assert [solution_of(row) for row in REPLIES[:3]] == [
        Solution(
            "**Step 1:** Count the pens.\n\\[\n4 \\times 6 = 24\n\\]\n\n"
            "**Step 2:** Take away those that she gives away: 24 - 5 = 19.",
            "19",
        ),
        Solution("One bike costs $1,250.\n\nThree cost 3 * 1250 = 3750 dollars.", "3750"),
        Solution("Half of 7 is 7 / 2.\n\nThat makes \\frac{7}{2} in all.", "3.5"),
    ]


def test_other_replies_are_told_apart_by_what_is_wrong_with_them():
    assert [solution_of(row) for row in REPLIES[3:]] == [
        "wrong",
        "never finished thinking",
        "without a boxed number",
        "without working out",
    ]


@pytest.mark.parametrize("splitter", ["blank_line", "numbered"])
def test_the_steps_of_a_reply_are_found_again(splitter):
    solution = solution_of(REPLIES[0])
    found = split_steps(solution.reasoning, StepsBlock(splitter=splitter))
    assert [solution.reasoning[start:][:11] for start, _, _ in found] == ["**Step 1:**", "**Step 2:**"]


def test_the_thinking_ends_at_its_last_tag_whether_it_was_opened_or_not():
    assert solution_part("<think>a</think>b</think>\r\n\r\nc\r\n") == "c"
    assert solution_part("a</think>c") == solution_part("c") == "c"
    assert solution_part("<think>a") is None


def test_the_last_box_counts_and_nested_braces_do_not_end_it():
    row = {
        "ground_truth": "5",
        "deepseek_response": r"At first \boxed{4}. Then \boxed{\text{5 {big} pens}}, so there.",
    }
    assert solution_of(row) == Solution(r"At first 4. Then \text{5 {big} pens}, so there.", "5")


def test_a_last_part_that_says_more_than_the_answer_stays():
    text = "Add.\n\nSo she pays \\boxed{7} euros."
    assert working_out(text) == "Add.\n\nSo she pays 7 euros."
    assert working_out("Add.\n\nTherefore, the answer is:\n$$\\boxed{7}$$") == "Add."


def test_without_a_ground_truth_the_gold_answer_of_the_task_is_taken():
    row = {"answer": "5+2=7\n#### 7", "deepseek_response": "5 + 2 = \\boxed{7}"}
    assert solution_of(row) == Solution("5 + 2 = 7", "7")
    with pytest.raises(ValueError, match="is not a number"):
        solution_of({"ground_truth": "seven", "deepseek_response": ""})
