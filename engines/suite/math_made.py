"""Made problems in the form of AIME (integers from 0 to 999), MATH-500 (LaTeX answers) and AMC (short word problems)."""

import math
import random
from collections.abc import Callable
from fractions import Fraction

from engines.suite.item import Item, make_item

Made = tuple[str, str]
"""A question and its gold answer."""

_SUFFIX = "Please output the final answer within \\boxed{}."


def _item(
    task: str, kinds: tuple[Callable[[random.Random, int], Made], ...], seed: int, difficulty: int
) -> Item:
    draw = random.Random(f"{task} {seed}")
    question, gold = draw.choice(kinds)(draw, difficulty)
    return make_item(task, f"{question} {_SUFFIX}", gold, difficulty=difficulty)


def made_aime(seed: int, difficulty: int) -> Item:
    """An integer from 0 to 999."""
    return _item("aime", (_modular_power, _counting, _gcd_chain, _recurrence), seed, difficulty)


def made_math500(seed: int, difficulty: int) -> Item:
    """An answer in LaTeX: fractions, radicals, polynomials, intervals, pairs."""
    return _item(
        "math500", (_linear, _quadratic_roots, _radical, _product, _interval, _polar), seed, difficulty
    )


def made_amc(seed: int, difficulty: int) -> Item:
    """A short word problem with an integer answer."""
    return _item("amc", (_meeting, _coins, _ages, _rectangle), seed, difficulty)


def _modular_power(draw: random.Random, difficulty: int) -> Made:
    base, exponent = draw.randint(2, 9 + 20 * difficulty), draw.randint(3, 20 + 100 * difficulty)
    modulus = draw.randint(11, 100 + 180 * difficulty)
    return (
        f"Find the remainder when ${base}^{{{exponent}}}$ is divided by ${modulus}$.",
        str(pow(base, exponent, modulus)),
    )


def _counting(draw: random.Random, difficulty: int) -> Made:
    limit = draw.randint(20, 100 + 170 * difficulty)
    first, second = draw.sample([2, 3, 5, 7, 11, 13], 2)
    count = sum(n % first == 0 or n % second == 0 for n in range(1, limit + 1))
    return (
        f"How many positive integers not greater than ${limit}$ are divisible by ${first}$ or by ${second}$?",
        str(count),
    )


def _gcd_chain(draw: random.Random, difficulty: int) -> Made:
    common = draw.randint(2, 20 + 30 * difficulty)
    numbers = [common * draw.randint(2, 12) for _ in range(2 + difficulty // 2)]
    shown = ", ".join(f"${number}$" for number in numbers)
    return f"Find the greatest common divisor of {shown}.", str(math.gcd(*numbers))


def _recurrence(draw: random.Random, difficulty: int) -> Made:
    a, b, p, q = draw.randint(1, 9), draw.randint(1, 9), draw.randint(1, 4), draw.randint(1, 4)
    index = draw.randint(4, 6 + 4 * difficulty)
    terms = [a, b]
    while len(terms) < index:
        terms.append((p * terms[-1] + q * terms[-2]) % 1000)
    return (
        f"A sequence has $a_1={a}$, $a_2={b}$ and $a_n={p}a_{{n-1}}+{q}a_{{n-2}}$ for $n\\ge 3$. "
        f"Find the remainder when $a_{{{index}}}$ is divided by $1000$.",
        str(terms[index - 1] % 1000),
    )


def _tex(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def _signed(value: int) -> str:
    return f"+ {value}" if value >= 0 else f"- {-value}"


def _linear(draw: random.Random, difficulty: int) -> Made:
    a, b, c = draw.randint(2, 9 + 5 * difficulty), draw.randint(-30, 30), draw.randint(-50, 50)
    return f"Solve for $x$: ${a}x {_signed(b)} = {c}$.", _tex(Fraction(c - b, a))


def _quadratic_roots(draw: random.Random, difficulty: int) -> Made:
    r, s = draw.randint(-6 - 3 * difficulty, 6 + 3 * difficulty), draw.randint(1, 9)
    s += r == s  # whether a double root counts twice, the question would not say
    return (
        f"Find the sum of the squares of the roots of $x^2 {_signed(-(r + s))}x {_signed(r * s)} = 0$.",
        str(r * r + s * s),
    )


def _radical(draw: random.Random, difficulty: int) -> Made:
    outside, inside = draw.randint(2, 6 + 3 * difficulty), draw.choice([2, 3, 5, 6, 7, 10, 11, 13])
    return f"Simplify $\\sqrt{{{outside * outside * inside}}}$.", f"{outside}\\sqrt{{{inside}}}"


def _product(draw: random.Random, difficulty: int) -> Made:
    a, b, c, d = (draw.randint(1, 5 + 3 * difficulty) * draw.choice([-1, 1]) for _ in range(4))
    return (
        f"Expand $({a}x {_signed(b)})({c}x {_signed(d)})$.",
        f"{a * c}x^2 {_signed(a * d + b * c)}x {_signed(b * d)}",
    )


def _interval(draw: random.Random, difficulty: int) -> Made:
    centre, radius = draw.randint(-9 - 5 * difficulty, 9 + 5 * difficulty), draw.randint(1, 9)
    return (
        f"Solve $|x {_signed(-centre)}| < {radius}$. Give the solution as an interval.",
        f"({centre - radius},{centre + radius})",
    )


def _polar(draw: random.Random, difficulty: int) -> Made:
    radius = draw.randint(1, 9 + 10 * difficulty)
    (x, y), angle = draw.choice(
        [((radius, 0), "0"), ((0, radius), "\\frac{\\pi}{2}"), ((-radius, 0), "\\pi"), ((0, -radius), "\\frac{3\\pi}{2}")]
    )  # fmt: skip
    return (
        f"Convert the point $({x},{y})$ to polar coordinates $(r,\\theta)$ with $r>0$ and $0\\le\\theta<2\\pi$.",
        f"\\left( {radius}, {angle} \\right)",
    )


def _meeting(draw: random.Random, difficulty: int) -> Made:
    first, second, hours = draw.randint(5, 20 + 5 * difficulty), draw.randint(5, 20), draw.randint(1, 5)
    return (
        f"Two towns are ${(first + second) * hours}$ miles apart. Ana leaves one at ${first}$ miles per hour and Ben the "
        f"other at ${second}$ miles per hour, towards each other. How many miles from Ana's town do they meet?",
        str(first * hours),
    )


def _coins(draw: random.Random, difficulty: int) -> Made:
    dimes, nickels = draw.randint(2, 9 + 5 * difficulty), draw.randint(2, 9 + 5 * difficulty)
    return (
        f"A jar holds ${dimes + nickels}$ coins, all dimes and nickels, worth ${10 * dimes + 5 * nickels}$ cents. "
        "How many of them are nickels?",
        str(nickels),
    )


def _ages(draw: random.Random, difficulty: int) -> Made:
    young, factor, years = draw.randint(3, 12 + difficulty), draw.randint(2, 5), draw.randint(1, 9)
    return (
        f"Tom is ${factor}$ times as old as Mia. In ${years}$ years the sum of their ages will be "
        f"${(factor + 1) * young + 2 * years}$. How old is Tom now?",
        str(factor * young),
    )


def _rectangle(draw: random.Random, difficulty: int) -> Made:
    width, more = draw.randint(2, 9 + 6 * difficulty), draw.randint(1, 9)
    return (
        f"A rectangle's length is ${more}$ more than its width, and its perimeter is ${4 * width + 2 * more}$. "
        "What is its area?",
        str(width * (width + more)),
    )
