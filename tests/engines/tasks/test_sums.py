import json
from fractions import Fraction
from pathlib import Path

import pytest

from engines.tasks.gsm8k import strip_calculator_marks
from engines.tasks.sums import sums_in

GSM8K = Path(__file__).parents[4] / "shared" / "data" / "gsm8k" / "train.jsonl"


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        ("6*4=24", "24"),
        ("$3 x 4 + 5 = $17 in all", "17"),
        ("(2+3)*4 = 20", "20"),
        ("1,200 + 300 = 1,500.", "1500"),
        ("-5 + 3 = -2", "-2"),
        ("10/3=3.33", "333/100"),
        ("1/2 * 1/2 = 1/4", "1/4"),
        ("20% of 50 = 10", "10"),
        ("100% - 80% = 20", "20"),
        (r"\(7 \times 8 = 56\)", "56"),
    ],
)
def test_a_sum_that_holds_is_read_as_it_is_written(text, claimed):
    [found] = sums_in(text)
    assert found.holds
    assert found.claimed == Fraction(claimed)


@pytest.mark.parametrize("text", ["2+2=5", "7/2=3", "3*4+5=27", "10/3=3.34", "5 - 8 = 3"])
def test_a_sum_that_does_not_hold_is_seen(text):
    assert [found.holds for found in sums_in(text)] == [False]


@pytest.mark.parametrize(
    "text", ["x + 2 = 5", "4 / 0 = 1", "2 = 2", "60 books * 2/3 = 40", "(1 + 2 = 3", "no sum at all"]
)
def test_what_is_no_plain_sum_is_passed_over(text):
    assert sums_in(text) == []


def test_sums_are_found_in_order_and_chains_are_read_pair_by_pair():
    found = sums_in("First 2+3=5 apples.\nThen 5*4 = 20, so 20 / 10 = 2.")
    assert [one.claimed for one in found] == [5, 20, 2]
    assert found[1].operands == (5, 4)


def test_endless_digits_are_not_worked_out():
    assert sums_in("9" * 50_000 + "*" + "9" * 50_000 + "=1") == []


@pytest.mark.skipif(not GSM8K.is_file(), reason="the real GSM8K files are not here")
def test_nearly_all_sums_of_real_solutions_hold():
    answers = (json.loads(line)["answer"] for line in GSM8K.open(encoding="utf-8"))
    found = [one for answer in answers for one in sums_in(strip_calculator_marks(answer))]
    assert len(found) > 20_000
    assert sum(one.holds for one in found) / len(found) > 0.99
