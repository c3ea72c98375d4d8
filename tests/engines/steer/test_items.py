import pytest

from engines.steer.fields import ConstraintsBlock
from engines.steer.items import beaten_at, breaches, compare, differences, item, repeats, sure_gain
from engines.tasks.scored import ScoredExample


def row(correct, tokens=10, terminated=True, repeating=False, number=0):
    return {
        **{"id": f"q{number}", "correct": correct, "tokens": tokens, "terminated": terminated},
        **{"repeats": repeating, "diverges": 3 if correct else None},
    }


def test_a_configuration_is_given_up_at_a_look_and_only_when_no_steering_is_surely_better():
    assert beaten_at([-1] * 200) == 20
    assert beaten_at([-1] * 19) is None
    assert beaten_at([0, 1, -1, 0] * 50) is None
    assert beaten_at([0] * 15 + [-1] * 30) == 30
    assert beaten_at([1] * 200) is None


def test_differences_are_of_the_same_questions_and_of_as_many_as_were_answered():
    steered = [row(True), row(False)]
    assert differences(steered, [row(False), row(True), row(True)]) == [1, -1]


def test_constraints_are_broken_by_cut_off_repeating_and_long_answers():
    plain, allowed = [row(True)] * 10, ConstraintsBlock()
    assert max(breaches(plain, plain, allowed).values()) < 0
    cut = [row(True, terminated=False), *plain[1:]]
    assert breaches(cut, plain, allowed)["truncation"] == pytest.approx(0.05)
    again = [*[row(True, repeating=True)] * 2, *plain[2:]]
    assert breaches(again, plain, allowed)["repetition"] == pytest.approx(0.15)
    assert breaches([row(True, tokens=30)] * 10, plain, allowed)["length"] == pytest.approx(1.0)
    assert breaches([row(True, tokens=4)] * 10, plain, allowed)["length"] == pytest.approx(0.1)


def test_a_comparison_counts_what_was_fixed_and_broken():
    base = [row(False)] * 30 + [row(True)] * 70
    steered = [row(True)] * 20 + [row(False)] * 10 + [row(True)] * 65 + [row(False)] * 5
    found = compare(steered, base)
    assert (found.fixed, found.broken, found.n) == (20, 5, 100)
    assert found.gain == pytest.approx(0.15) and found.low < 0.15 < found.high
    assert found.p == pytest.approx(0.00408, abs=1e-4)


def test_a_gain_is_sure_only_where_luck_with_all_candidates_does_not_make_it():
    base = [row(False)] * 100
    assert sure_gain(base, base, 5) == 0
    lucky = [row(True)] * 2 + [row(False)] * 98
    assert sure_gain(lucky, base, 1) <= 0
    better = [row(True)] * 20 + [row(False)] * 80
    assert 0.05 < sure_gain(better, base, 5) < sure_gain(better, base, 1) < 0.2
    assert sure_gain([row(False)] * 100, [row(True)] * 100, 1) < -0.9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He has 12 + 30 = 42 apples , and so she has 18 of them .", False),
        ("so it is 4 " * 8, True),
        ("4 4 4", False),
        ("", False),
    ],
)
def test_text_that_goes_round_in_circles_repeats_itself(text, expected):
    assert repeats(text) is expected


def test_an_item_says_where_its_completion_leaves_the_unsteered_one():
    fields = dict.fromkeys(ScoredExample.__dataclass_fields__, "")
    scored = ScoredExample(**{**fields, "completion": "It is 42."})
    assert item(scored, True, "It is 43.")["diverges"] == 7
    assert item(scored, True, "It is 42.")["diverges"] is None
    assert item(scored, True, "It is 42. Yes.")["diverges"] == 9
    assert item(scored, True, None)["diverges"] is None
