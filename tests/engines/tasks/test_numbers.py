import time
from fractions import Fraction

import pytest

from engines.tasks.answers import equal, parse_number

NUMBERS = [
    ("72", 72), ("-5", -5), ("+5", 5), ("0", 0), ("18.", 18), (".5", "1/2"), ("-.5", "-1/2"), ("2.50", "5/2"),
    ("$18", 18), ("-$5", -5), ("$-5", -5), ("€ 7", 7), ("\\$18", 18), ("18 dollars", 18), ("USD 18", 18), ("US$18", 18), ("72clips", 72),
    ("2,125", 2125), ("1,234,567.5", "1234567.5"), ("2,125,", 2125), ("1{,}000", 1000), ("1\\,000", 1000), ("1{,}\\!000", 1000),
    ("3/4", "3/4"), ("3 / 4", "3/4"), ("-3/4", "-3/4"), ("1 1/2", "3/2"), ("-1 1/2", "-3/2"), ("½", "1/2"), ("1½", "3/2"), ("2⁄3", "2/3"),
    ("\\frac{3}{4}", "3/4"), ("-\\dfrac{3}{4}", "-3/4"), ("1\\frac{1}{2}", "3/2"), ("$\\frac{1}{3}$", "1/3"),
    ("50%", 50), ("50 \\%", 50), ("1.5e3", 1500), ("2E-2", "1/50"), ("1.5 \\times 10^{3}", 1500), ("2 x 10^-1", "1/5"),
    ("−5", -5), ("–5", -5), ("- 5", -5), ("\u00a018\u202f", 18), ("**72**", 72), ("`72`", 72), ("*72*", 72), ("_72_", 72), ("\\text{72 clips}", 72),
    ("6 * 12 = 72", 72), ("x = -3", -3), ("2 + 3 = 5 = ", 5), ("10 - 5 = 5", 5), ("72 (72)", 72), ("the total - 5", 5), ("GPT-4", 4),
    ("so...5", 5), ("$18.00.", 18), ("x_1 = 4", 4), ("is -5", -5),
]  # fmt: skip

NOT_ONE_NUMBER = [
    "", "none", "seventy two", "1,00", "0,5", "1.234,56", "1,2,3", "10:00", "5 apples and 3 oranges", "10-5", "10 -5", "(10)-5",
    "1/0", "1 1/0", "1e999999", "\\frac{1}{0}", "x2", "9" * 5000, "1/" + "9" * 5000,
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_a_number_is_read_as_people_write_it(text: str, value: int | str) -> None:
    assert parse_number(text) == Fraction(value)


@pytest.mark.parametrize("text", NOT_ONE_NUMBER)
def test_what_is_not_one_clear_number_is_not_guessed_at(text: str) -> None:
    assert parse_number(text) is None


def test_equality_is_exact_up_to_rounding_and_sees_the_sign() -> None:
    assert equal(Fraction("0.3333333"), Fraction(1, 3))
    assert equal(Fraction(1000000), Fraction("1000000.5"))
    assert not equal(Fraction("0.333"), Fraction(1, 3))
    assert not equal(Fraction(-5), Fraction(5))
    assert not equal(Fraction(19), Fraction(18))


@pytest.mark.parametrize("piece", ["1", "1,", "- 5 ", "1 ", "$", "\\frac{", "9/", "\\text{", "-"])
def test_reading_hostile_text_takes_linear_time(piece: str) -> None:
    started = time.process_time()
    parse_number(piece * 5_000)
    assert time.process_time() - started < 2
