import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.pruning.steps import evaluate, steps_in


@pytest.mark.parametrize(
    "text, steps",
    [
        ("He has 12 + 30 = 42 apples.", ["12+30=42"]),
        ("12+30=<<12+30=42>>42", ["12+30=42"]),
        ("6*4=24\n24+3=27", ["6*4=24", "24+3=27"]),
        ("1. 5 + 3 = 8", ["5+3=8"]),
        ("- 5 + 3 = 8", ["5+3=8"]),
        ("* 5 + 3 = 8", ["5+3=8"]),
        ("-14 + (-8) = -22 degrees", ["-14+(-8)=-22"]),
        ("$1,000 + 500 = $1,500", ["1000+500=1500"]),
        ("5 x 3 = 15, 4 × 3 = 12", ["5*3=15", "4*3=12"]),
        (r"\(5 \times 3 = 15\)", ["5*3=15"]),
        ("10 ÷ 4 = 2.5", ["10/4=2.5"]),
        ("10/3 = 3.33, 2/3=0.66", ["10/3=3.33", "2/3=0.66"]),
        ("20/80 * 100 = 25%", ["20/80*100=25%"]),
        ("10% + 5% = 15%", ["10%+5%=15%"]),
        ("5 + 3 = 8, 8 * 2 = 16.", ["5+3=8", "8*2=16"]),
        ("2 + 3 = 5 * 4 = 20", ["2+3=5", "5*4=20"]),
        ("3 + 4 = 14 / 2 = 7", ["3+4=14/2", "14/2=7"]),
        ("in boxes (5 + 3 = 8)", ["5+3=8"]),
        ("(5 + 3) * 2 = 16", ["(5+3)*2=16"]),
        ("2^3=8", ["2^3=8"]),
        ("½ + ½ = 1", ["1/2+1/2=1"]),
        ("5 - 8 = −3", ["5-8=-3"]),
        ("007 + 1 = 8", ["007+1=8"]),
        ("3 = 1 + 2", ["3=1+2"]),
        ("Total:5+3=8", ["5+3=8"]),
    ],
)
def test_right_steps_are_found_and_hold(text, steps):
    assert [(step.text, step.holds) for step in steps_in(text)] == [(step, True) for step in steps]


@pytest.mark.parametrize(
    "text",
    ["6*4=25", "7/2 = 3", "10/3=3.4", "5 - 8 = 3", "so 5*2=10 and 3*4=13 for", "- 5 + 3 = 9", "1+1=2=3+1"],
)
def test_wrong_steps_are_found_out(text):
    assert not all(step.holds for step in steps_in(text))


@pytest.mark.parametrize(
    "text",
    [
        "apples - 3 = 4",
        "x = 5 + 3",
        "5 + 3 = x",
        "x2 + 3 = 7",
        "12 = 3x",
        "n + 2 = 9 + 1",
        "60 students x 2/3 = 40",
        "60 minutes / 5 = 12",
        "38 - 32 = 32 + x",
        "8/3 = 24/y",
        "5 = 5",
        "week 2 = 35 + 35",
        "2(3+4) = 14",
        "2 1/2 + 1 = 3.5",
        "$80 000 x 20/100 = $16 000",
        "28 / 1/5 = 140",
        "12:30 + 1 = 13",
        "4 / 3 = 1 and 1/3",
        "1/0 = 3",
        "=",
        "5 + = 8",
    ],
)
def test_what_cannot_be_read_for_certain_is_passed_over(text):
    assert steps_in(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "9**9**9 = 3",
        "9^9^9=1",
        "2**99999999 = 1",
        "9" * 5000 + " + 1 = 2",
        "(" * 5000 + "1+1=2",
        "(" * 100 + "1" + ")" * 100 + "+1=2",
        "1+" * 50_000 + "1=2",
        "=" * 100_000,
        "1=1" * 30_000,
        "٣+٤=٧",
        "１＋１＝３",
        "\x00+1=2",
        "1e999+1=2",
        "-" * 290 + "1=1",
    ],
)
def test_hostile_text_costs_little_and_is_never_wrong(text):
    began = time.process_time()
    assert all(step.holds for step in steps_in(text) if step.text != "1+1=2")
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os')",
        "(lambda: 1)()",
        "1 if 1 else 2",
        "[1][0]",
        "'a' * 9",
        "1j",
        "True",
        "9**9**9",
        "1 // 2",
    ],
)
def test_nothing_but_arithmetic_is_evaluated(expression):
    assert evaluate(expression) is None


@given(st.text(alphabet="0123456789+-*/^().,=$% xabc\n", max_size=80))
def test_no_text_raises(text):
    steps_in(text)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from("+-*"))
def test_every_plain_sum_is_judged_exactly(a, b, sign):
    value = evaluate(f"{a}{sign}{b}")
    assert value == Fraction({"+": a + b, "-": a - b, "*": a * b}[sign])
    [right] = steps_in(f"so {a} {sign} {b} = {value}")
    [wrong] = steps_in(f"so {a} {sign} {b} = {value + 1}")
    assert right.holds and not wrong.holds
