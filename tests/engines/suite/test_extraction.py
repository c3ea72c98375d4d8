"""Where an answer is looked for: the last one that was said aloud, in the place that was asked for."""

import pytest

from engines.suite.extraction import asked_box_or_lenient, boxed, fenced, phrased, tagged


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("\\boxed{4}", "4"),
        ("\\boxed{1} no, \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed {\\{1,2\\}}", "\\{1,2\\}"),
        ("\\boxed{7} and then \\boxed{8", "7"),
        ("<think>\\boxed{1}</think> It is \\boxed{2}", "2"),
        ("nothing here", None),
        ("\\boxed 5", None),
        ("\\boxed{" * 2000, None),
    ],
)
def test_the_last_closed_box_outside_of_thoughts_counts(text, content):
    found = boxed(text)
    assert (found.text if found else None) == content


def test_tags_and_fences_go_over_lines_and_the_last_wins():
    assert tagged("<answer>1</answer> or <answer>\n[[1,\n2]]\n</answer>").text == "[[1,\n2]]"
    assert fenced("```python\na = 1\n```\nbetter:\n```python\na = 2\n```").text == "a = 2"
    assert fenced("```json\n{}\n```\n```python\nx\n```", ("json",)).text == "{}"
    assert fenced("```python\nnever closed") is None


def test_a_phrase_is_taken_to_the_end_of_its_line():
    assert phrased("The answer is 4.\nThe final answer is: **5**.").text == "5"
    assert phrased("no such words") is None


def test_without_a_box_the_next_best_place_is_found_and_said_not_to_be_the_asked_one():
    assert asked_box_or_lenient("\\boxed{3} 4")[1] is True
    for text, method in (
        ("<answer>3</answer> 4", "answer_tag"),
        ("answer: 3", "phrase"),
        ("1, 2, 3", "last_number"),
    ):
        found, asked = asked_box_or_lenient(text)
        assert (found.text, found.method, asked) == ("3", method, False)
    assert asked_box_or_lenient("")[0] is None
