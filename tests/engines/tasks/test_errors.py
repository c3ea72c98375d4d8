import pytest

from engines.prompts.spec import PromptSpec
from engines.tasks.errors import CLASSES, contains, mistake
from engines.tasks.example import Example
from engines.tasks.scored import score

SPEC = PromptSpec()
EXAMPLE = Example("x-1", "A question", "6*4=24\n24-5=19\n19*2=38", "38")


def looked_at(working, answer, terminated=True):
    text = f"{working}{SPEC.reasoning_end}{SPEC.solution_start}{answer}{SPEC.solution_end}"
    row = score(EXAMPLE, 0, text, SPEC, terminated=terminated, tokens=9, count_tokens=len)
    return mistake(vars(row))


@pytest.mark.parametrize(
    ("working", "answer", "kind", "step"),
    [
        ("6*4=24\n24-5=19\n19*2=39", "39", "arithmetic_slip", 3),
        ("6*4=24\n24-5=18\n18*2=36", "36", "arithmetic_slip", 2),
        ("6*4=24\n24+5=29\n29*2=58", "58", "wrong_operand", 2),
        ("6*4=24\n24-5=19", "19", "early_stop", None),
        ("6*4=24\n24-5=19\n19*2=38\n38+6=44", "44", "extra_step", 4),
        ("6*4=24\n24-5=19\n19*2=38", "19", "format_only", None),
        ("6*4=24\n24-5=19\n19*2=38", "380", "off_by_scale", None),
        ("6*4=24", "many", "no_answer", None),
        ("It must be more.", "40", "other", None),
    ],
)  # fmt: skip
def test_each_kind_of_mistake_is_told_from_its_sums(working, answer, kind, step):
    found = looked_at(working, answer)
    assert (found.kind, found.first_wrong_step) == (kind, step)
    assert kind in CLASSES


def test_a_right_answer_is_no_mistake_whatever_its_sums():
    assert looked_at("1+1=3", "38") is None


def test_who_was_cut_off_is_not_blamed_for_reasoning():
    assert looked_at("6*4=25", "25", terminated=False).kind == "truncated"


def test_a_number_is_contained_however_it_is_written():
    assert contains("that is $1,200.00 in all", "1200")
    assert not contains("that is 12000", "1200")
