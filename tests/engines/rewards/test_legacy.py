"""The scores of the reward sets in Unsloth's notebooks and in the GSM8K study, defects included."""

import pytest

from engines.prompts.spec import PromptSpec
from engines.rewards.legacy import (
    PARTS,
    check_answer,
    check_numbers,
    legacy_set,
    match_format_approximately,
    match_format_exactly,
)

V1, V2, STUDY = (
    legacy_set(name, PromptSpec(), "<|im_end|>")
    for name in ("legacy_unsloth_v1", "legacy_unsloth_v2", "legacy_seed001")
)
RS, RE, SS, SE = PromptSpec().tags


def said(answer, reasoning="40+32=72"):
    return f"{RS}{reasoning}{RE}{SS}{answer}{SE}"


def total(name, text, gold):
    points = {"legacy_unsloth_v1": V1, "legacy_unsloth_v2": V2, "legacy_seed001": STUDY}[name]
    return sum(part(points, text, gold) for part in PARTS[name])


@pytest.mark.parametrize(
    ("text", "v1", "v2"),
    [
        (said("72"), 3.0, 3.0),
        (f"  {said('72')}\n\n", 3.0, 3.0),
        (said("72") + "<|im_end|>", 0.0, 3.0),
        (f"{RE}{SS}72{SE}", 0.0, 3.0),  # the opening tag is prefilled in v2
        (f"{RS}{RE}{SS}72{SE}", 0.0, 3.0),
        (f"{RS}x{RE}{SS}72{SE}", 3.0, 3.0),  # one character of reasoning is enough
        (f"{RS}x{RE} so {SS}72{SE}", 3.0, 3.0),
        (said("72") + " and more", 0.0, 0.0),
        ("junk\n" + said("72") + "\njunk", 3.0, 3.0),  # the anchors match at every line
        (f"{SS}72{SE}", 0.0, 0.0),
        ("72", 0.0, 0.0),
    ],
)
def test_the_exact_format(text, v1, v2):
    assert match_format_exactly(V1, text, "72") == v1
    assert match_format_exactly(V2, text, "72") == match_format_exactly(STUDY, text, "72") == v2


@pytest.mark.parametrize(
    ("text", "v1", "v2"),
    [
        (said("72"), 2.0, 1.5),
        (f"{RE}{SS}72{SE}", 1.0, 1.5),
        ("72", -2.0, -3.0),
        (said("72") + said("72"), -2.0, -3.0),
        (f"{RS}{SS}72{SE}", 1.0, 0.0),
    ],
)
def test_the_approximate_format(text, v1, v2):
    assert match_format_approximately(V1, text, "72") == v1
    assert match_format_approximately(V2, text, "72") == match_format_approximately(STUDY, text, "72") == v2


@pytest.mark.parametrize(
    ("answer", "gold", "v1", "v2", "study"),
    [
        ("72", "72", 3.0, 5.0, 5.0),
        (" 72 ", "72", 1.5, 3.5, 5.0),
        ("72", " 72", 1.5, 3.5, 3.5),
        ("72.0", "72", 0.5, 2.0, 2.0),
        ("18.0", "18", 0.5, 2.0, 2.0),
        ("70", "72", 0.5, 2.0, 2.0),  # wrong, but within 10 %
        ("80", "72", 0.25, 1.5, 1.5),
        ("60", "72", 0.25, 1.5, 1.5),
        ("10", "72", -1.0, -2.5, -2.5),
        ("-72", "72", -1.0, -2.5, -2.5),
        ("$18", "18", -0.5, -4.5, -4.5),
        ("18 dollars", "18", -0.5, -4.5, -4.5),
        ("2125", "2,125", -0.5, -4.5, -4.5),  # right, and worse than a wrong number
        ("2,125", "2125", -0.5, -4.5, -4.5),
        ("2,125", "2,125", 3.0, 5.0, 5.0),
        ("0", "0", 3.0, 5.0, 5.0),
        ("0.0", "0", -0.5, -4.5, -4.5),  # division by zero
        ("nan", "72", -1.0, -2.5, -2.5),
    ],
)
def test_the_answer(answer, gold, v1, v2, study):
    assert check_answer(V1, said(answer), gold) == v1
    assert check_answer(V2, said(answer), gold) == v2
    assert check_answer(STUDY, said(answer), gold) == study


def test_no_answer_and_two_answers():
    assert [check_answer(points, "72", "72") for points in (V1, V2, STUDY)] == [0.0, -2.0, -2.0]
    two = f"{RS}x{RE}{SS}1{SE}{SS}72{SE}"  # read as `1</SOLUTION><SOLUTION>72`
    assert [check_answer(points, two, "72") for points in (V1, V2, STUDY)] == [-0.5, -4.5, -4.5]


@pytest.mark.parametrize(
    ("answer", "gold", "v1", "v2"),
    [
        ("72", "72", 1.5, 3.5),
        ("72.0", "72", 1.5, 3.5),
        ("71", "72", 0.0, -1.5),
        ("-5", "5", 1.5, -1.5),  # v1 loses the sign
        ("-5", "-5", 0.0, 3.5),
        ("2,125", "2125", 0.0, 3.5),  # v1 reads `2`
        ("2125", "2,125", 0.0, 0.0),  # the gold is no number to float()
        ("$18", "18", 1.5, 3.5),
        ("18 dollars", "18", 1.5, 3.5),
        ("none", "72", 0.0, -2.5),
        ("1.2.3", "72", 0.0, 0.0),
    ],
)
def test_the_number(answer, gold, v1, v2):
    assert check_numbers(V1, said(answer), gold) == v1
    assert check_numbers(V2, said(answer), gold) == v2


def test_the_most_that_each_set_gives():
    assert total("legacy_unsloth_v1", said("72"), "72") == 9.5
    assert total("legacy_unsloth_v2", said("72"), "72") == 13.0
    assert total("legacy_seed001", said("72"), "72") == 9.5
    assert len(PARTS["legacy_seed001"]) == 3


def test_a_wrong_answer_in_the_format_beats_a_right_one_outside_of_it():
    wrong, bare = said("10"), "The answer is 72."
    for name in ("legacy_unsloth_v1", "legacy_unsloth_v2", "legacy_seed001"):
        assert total(name, wrong, "72") > total(name, bare, "72")


def test_tags_are_taken_literally():
    spec = PromptSpec(reasoning_start="(", reasoning_end=")", solution_start="[", solution_end="]")
    points = legacy_set("legacy_unsloth_v1", spec, "</s>")
    assert match_format_exactly(points, "(40+32)[72]", "72") == 3.0
