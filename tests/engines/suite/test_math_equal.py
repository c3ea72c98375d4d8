"""Two mathematical answers are the same object or they are not, whatever a model wrote and however long it would take."""

import time

import pytest

from engines.suite import math_equal
from engines.suite.math_equal import equal


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("1/2", "\\frac12"),
        ("0.5", "\\dfrac{1}{2}"),
        ("\\frac{3}{6}", "1/2"),
        ("-\\frac{7}{2}", "-3.5"),
        ("10,\\!080", "10080"),
        ("90", "90^\\circ"),
        ("50\\%", "50"),
        ("\\text{Evelyn}", "Evelyn"),
        ("x+1", "1+x"),
        ("3\\sqrt{13}", "\\sqrt{117}"),
        ("(3,\\pi/2)", "\\left( 3, \\frac{\\pi}{2} \\right)"),
        ("-5i+6", "6 - 5i"),
        ("x=3", "3"),
    ],
)
def test_the_same_in_another_form_is_equal(answer, gold):
    assert equal(answer, gold)


def test_a_space_between_thousands_is_no_second_number():
    assert equal("10 000", "10000") and equal("10\\,080", "10080")


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("", "1"),
        ("zzz", "3"),
        ("3 or 4", "3"),
        ("1\\text{ or }2", "2"),
        ("3,4", "3"),
        ("\\pm 3", "3"),
        ("12", "1,2"),
        ("1 2", "12"),
        ("5\\quad 6", "56"),
        ("1,2", "12"),
        ("1/0", "0"),
        ("[2,\\infty)", "(2,\\infty)"),
        ("x" * 5000, "x"),
        ("}{", "1"),
    ],
)
def test_another_object_or_a_choice_of_several_is_not_equal(answer, gold):
    assert not equal(answer, gold)


def test_an_answer_that_computes_for_ever_ends_at_the_deadline_and_the_next_is_compared_as_usual(monkeypatch):
    assert equal("x+2", "2+x")  # the process has started
    monkeypatch.setattr(math_equal, "DEADLINE", 0.5)
    began = time.monotonic()
    assert not equal("9^{9^{9^9}}", "5")
    assert time.monotonic() - began < 5
    monkeypatch.setattr(math_equal, "DEADLINE", 60.0)
    assert equal("x+3", "3+x")
