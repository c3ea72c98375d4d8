from fractions import Fraction

import pytest

from engines.prompts.spec import PromptSpec
from engines.tasks.answers import extract

SPEC = PromptSpec()
WORK = "<start_working_out>6*12=72<end_working_out>"

FOUND = [
    (WORK + "<SOLUTION>72</SOLUTION>", 72, "solution"),
    (WORK + "<SOLUTION> $72.00 </SOLUTION>", 72, "solution"),
    (WORK + "<SOLUTION>6*12 = 72 clips</SOLUTION>", 72, "solution"),
    (WORK + "<SOLUTION>1</SOLUTION> no, <SOLUTION>72</SOLUTION>", 72, "solution"),
    (WORK + "<SOLUTION><SOLUTION>72</SOLUTION></SOLUTION>", 72, "solution"),
    (WORK + "<SOLUTION>72</SOLUTION> <SOLUTION>75", 72, "solution"),
    ("<SOLUTION>72</SOLUTION>", 72, "solution"),
    (WORK + "<SOLUTION>72", 72, "solution_open"),
    (WORK + "<SOLUTION>\n72\nThat is 5 more than 67.", 72, "solution_open"),
    ("So \\boxed{5} or rather \\boxed{\\frac{1}{2}}", Fraction(1, 2), "boxed"),
    ("So \\boxed{\\text{72 clips}} and \\boxed{7", 72, "boxed"),
    ("\\boxed{\\boxed{72}}", 72, "boxed"),
    ("6*12=<<6*12=72>>72\n#### 72", 72, "hashes"),
    ("#### 5\nwait\n**#### Answer: $500**", 500, "hashes"),
    ("#### $1,450.", 1450, "hashes"),
    ("Final answer: 72. Let me know if you need help 24/7!", 72, "phrase"),
    ("**Answer**: 26", 26, "phrase"),
    ("The answer is 18 dollars.", 18, "phrase"),
    ("The answer to this (in dollars) is $18.", 18, "phrase"),
    ("She has 48 and then 72 clips", 72, "last_number"),
    ("She has\n- 5 apples", 5, "last_number"),
    (WORK + "and I am done", 72, "last_number"),
    (WORK + "<SOLUTION>", 72, "last_number"),
    ("<SOLUTION>5</SOLUTION><end_working_out> 72", 72, "last_number"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value", "method"), FOUND)
def test_the_last_answer_in_the_clearest_place_is_found(
    text: str, value: int | Fraction, method: str
) -> None:
    answer = extract(text, SPEC)
    assert (answer.value, answer.method, answer.ambiguous) == (value, method, False)
    assert answer.closed == (method == "solution")
    assert answer.span is not None and text[slice(*answer.span)].strip() == answer.raw


@pytest.mark.parametrize("inside", ["5 or 6", "1,00", "10-5", "10:00"])
def test_an_ambiguous_solution_is_reported_and_not_guessed(inside: str) -> None:
    answer = extract(f"{WORK}<SOLUTION>{inside}</SOLUTION> 72", SPEC)
    assert (answer.value, answer.ambiguous, answer.raw) == (None, True, inside)


@pytest.mark.parametrize("inside", ["", "seventy two"])
def test_a_closed_solution_without_a_number_is_the_models_word(inside: str) -> None:
    answer = extract(f"{WORK}<SOLUTION>{inside}</SOLUTION>", SPEC)
    assert (answer.value, answer.method, answer.ambiguous) == (None, "solution", False)


@pytest.mark.parametrize("text", ["", "no idea", "<start_working_out>", "</SOLUTION>"])
def test_text_without_a_number_has_no_answer(text: str) -> None:
    answer = extract(text, SPEC)
    assert (answer.value, answer.method, answer.span) == (None, "none", None)


def test_solution_tags_are_counted_and_percent_is_noted_but_not_divided() -> None:
    answer = extract("<SOLUTION>1</SOLUTION><SOLUTION>50%</SOLUTION>", SPEC)
    assert (answer.n_solution_tags, answer.value, answer.percent) == (2, 50, True)


def test_the_tags_come_from_the_prompt_spec() -> None:
    spec = PromptSpec(solution_start="[", solution_end="]")
    assert extract("[72]", spec).method == "solution"
    assert extract("<SOLUTION>72</SOLUTION>", spec).method == "last_number"
