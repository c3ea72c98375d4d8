import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engines.jepa.fields import StepsBlock
from engines.jepa.splitters import SPLITTERS, split_steps


def steps(text, splitter="lines", **fields):
    return [text[start:end] for start, end, _ in split_steps(text, StepsBlock(splitter=splitter, **fields))]


def test_a_step_a_line_with_the_line_break_closing_the_earlier_one():
    text = "He buys 3.\nShe buys 4.\n\nThey have 7."
    assert split_steps(text, StepsBlock()) == [(0, 10, 11), (11, 22, 24), (24, 36, 36)]


def test_blank_lines_leave_single_line_breaks_inside_a_step():
    text = "First:\n3 + 4 = 7\n \t\r\nThen 7 * 2 = 14.  \n\n\nSo 14."
    assert steps(text, "blank_line") == ["First:\n3 + 4 = 7", "Then 7 * 2 = 14.", "So 14."]


def test_numbered_steps_keep_what_is_written_below_their_mark():
    text = "**Step 1:** Count.\n\n1. apples\n2. pears\n\n3 + 4 = 7\n\n**Step 2:** Double.\n\n14"
    assert steps(text, "numbered") == [
        "**Step 1:** Count.\n\n1. apples\n2. pears\n\n3 + 4 = 7",
        "**Step 2:** Double.\n\n14",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "1. Add: 1.5 + 2 = 3.5\n2. Double: 7",
        "1) Add 1.5 and 2\n2) Double",
        "**1.** Add\n\n**2.** Double",
        "### Step 1: Add\n### Step 2: Double",
        "step 1 - add\nSTEP 2 - double",
    ],
)
def test_marks_of_steps_in_the_ways_that_models_write_them(text):
    assert steps(text, "numbered") == text.replace("\n\n", "\n").split("\n")


def test_what_stands_before_the_first_mark_is_a_step_of_its_own():
    assert steps("We need the sum.\n\n1. Add.\n2. Double.", "numbered") == [
        "We need the sum.",
        "1. Add.",
        "2. Double.",
    ]


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize("heading", ["**Final Answer**", "Final answer:", "### The Final Answer"])
def test_the_part_that_announces_the_final_answer_is_no_step_and_not_in_one(splitter, heading):
    text = f"Step 1: 3 + 4 = 7.\n\nStep 2: 7 * 2 = 14.\n\n{heading}\n\\boxed{{14}}"
    found = split_steps(text, StepsBlock(splitter=splitter))
    assert [text[start:end] for start, end, _ in found] == ["Step 1: 3 + 4 = 7.", "Step 2: 7 * 2 = 14."]
    assert found[-1][2] == text.index(heading)


def test_sentences_are_not_cut_at_decimals_abbreviations_initials_or_list_numbers():
    text = (
        "1. Mr. A. Smith buys 3.5 lbs. of rice, e.g. for lunch. It costs $2.50! At 5 p.m. He pays approx. 9 dollars. "
        "Is that right? Yes (he counted.) Then 4. The P.E. class has 24 sq. ft. - 4 sq. ft. = 20.\nNo full stop here\nthe end. well... maybe."
    )
    assert [sentence.strip() for sentence in steps(text, "sentence")] == [
        "1. Mr. A. Smith buys 3.5 lbs. of rice, e.g. for lunch.",
        "It costs $2.50!",
        "At 5 p.m.",
        "He pays approx. 9 dollars.",
        "Is that right?",
        "Yes (he counted.)",
        "Then 4.",
        "The P.E. class has 24 sq. ft. - 4 sq. ft. = 20.",
        "No full stop here",
        "the end.",
        "well... maybe.",
    ]


def test_the_blank_between_two_sentences_belongs_to_the_second_as_in_tokens():
    assert split_steps("He has 3. Then 4.", StepsBlock(splitter="sentence")) == [(0, 9, 9), (9, 17, 17)]


def test_a_pattern_takes_precedence_and_may_match_nothing_at_all_but_a_place():
    assert steps("a; b; c", pattern=";") == ["a", " b", " c"]
    assert steps("So 3.\nSo 4.\nThus 5.", pattern=r"\s+(?=Thus)") == ["So 3.\nSo 4.", "Thus 5."]
    assert steps("So 3.\nSo 4.", pattern=r"^(?=So)") == ["So 3.", "So 4."]


@pytest.mark.parametrize("pattern", ["(", "x*", "^"])
def test_a_pattern_that_is_none_or_cuts_everywhere_is_refused(pattern):
    with pytest.raises(ValidationError):
        StepsBlock(pattern=pattern)


def test_short_pieces_join_the_one_before_and_a_short_first_one_the_one_behind():
    text = "So:\n3 + 4 = 7 apples\nok\nTwice that is 14"
    assert steps(text, min_characters=6) == ["So:\n3 + 4 = 7 apples\nok", "Twice that is 14"]
    assert steps("a\nb", min_characters=6) == ["a\nb"]


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_text_without_anything_to_go_by_is_one_step_and_no_text_is_none(splitter):
    assert steps("three and four make seven", splitter) == ["three and four make seven"]
    assert steps("", splitter) == steps(" \n\n ", splitter) == []


@settings(max_examples=150, deadline=None)
@given(
    st.text(alphabet="aB1.2!?;: \n\r\t*#", max_size=60) | st.text(max_size=40),
    st.sampled_from(sorted(SPLITTERS)),
    st.integers(1, 8),
)
def test_steps_are_in_order_disjoint_and_leave_out_nothing_but_white_space(text, splitter, least):
    found = split_steps(text, StepsBlock(splitter=splitter, min_characters=least))
    covered = 0
    for start, content_end, end in found:
        assert covered <= start < content_end <= end <= len(text)
        assert not text[covered:start].strip() and not text[content_end:end].strip()
        assert text[start:content_end].strip()
        covered = end
    assert not text[covered:].strip()
