"""Made science questions with numbers and units, whose wrong options are the usual mistakes.

A wrong unit, an inverted ratio, a forgotten square: an option that is wrong for no reason would be too easy.
"""

import random
from collections.abc import Callable
from fractions import Fraction

Worked = tuple[str, str, Fraction, list[Fraction]]
"""A question, the unit, the right value, and the values that usual mistakes lead to."""


def made_science(seed: str, difficulty: int, count: int) -> tuple[str, list[str], int]:
    """A question, `count` different options with units, and the place of the right one."""
    draw = random.Random(seed)
    question, unit, right, mistakes = draw.choice(_KINDS)(draw, difficulty)
    values = [right]
    for value in [*mistakes, *_scaled(right, draw)]:
        if _text(value, unit) not in {_text(known, unit) for known in values}:
            values.append(value)
        if len(values) == count:
            break
    draw.shuffle(values)
    return question, [_text(value, unit) for value in values], values.index(right)


def _scaled(right: Fraction, draw: random.Random) -> list[Fraction]:
    factors = [Fraction(n, d) for n, d in ((10, 1), (1, 10), (2, 1), (1, 2), (3, 1), (1, 3), (4, 1), (1, 4), (5, 1), (3, 2), (2, 3), (100, 1), (1, 100), (6, 5), (4, 5))]  # fmt: skip
    draw.shuffle(factors)
    return [right * factor for factor in factors]


def _text(value: Fraction, unit: str) -> str:
    return f"{float(value):.4g} {unit}"


def _ohm(draw: random.Random, difficulty: int) -> Worked:
    volts, ohms = draw.randint(2, 24 + 10 * difficulty), draw.randint(2, 50 + 20 * difficulty)
    right = Fraction(volts, ohms)
    text = f"A resistor of {ohms} ohm is connected to a source of {volts} V. Which current flows through it?"
    return text, "A", right, [1 / right, Fraction(volts * ohms), Fraction(volts**2, ohms), right * 1000]


def _power(draw: random.Random, difficulty: int) -> Worked:
    amperes, ohms = draw.randint(2, 9), draw.randint(2, 40 + 20 * difficulty)
    right = Fraction(amperes**2 * ohms)
    text = f"A current of {amperes} A flows through a resistor of {ohms} ohm. Which power does it turn into heat?"
    return (
        text,
        "W",
        right,
        [Fraction(amperes * ohms), Fraction(ohms**2 * amperes), Fraction(ohms, amperes), right / 2],
    )


def _kinetic(draw: random.Random, difficulty: int) -> Worked:
    mass, speed = draw.randint(2, 20 + 10 * difficulty), draw.randint(2, 30)
    right = Fraction(mass * speed**2, 2)
    text = f"What is the kinetic energy of a body of {mass} kg that moves at {speed} m/s?"
    return (
        text,
        "J",
        right,
        [right * 2, Fraction(mass * speed, 2), Fraction(mass * speed), Fraction(mass**2 * speed, 2)],
    )


def _fall(draw: random.Random, difficulty: int) -> Worked:
    seconds = draw.randint(1, 5 + 2 * difficulty)
    right = Fraction(5 * seconds**2)
    text = f"How far does a stone fall from rest in {seconds} s? Take g = 10 m/s^2 and neglect the air."
    return (
        text,
        "m",
        right,
        [right * 2, Fraction(5 * seconds), Fraction(10 * seconds), Fraction(5 * seconds**3)],
    )


def _molar(draw: random.Random, difficulty: int) -> Worked:
    name, mass = draw.choice(
        [("water", 18), ("carbon dioxide", 44), ("methane", 16), ("ammonia", 17), ("oxygen (O2)", 32), ("glucose", 180)]
    )  # fmt: skip
    grams = mass * draw.randint(1, 5 + 3 * difficulty)
    right = Fraction(grams, mass)
    text = f"How many moles are {grams} g of {name}, whose molar mass is {mass} g/mol?"
    return text, "mol", right, [Fraction(mass, grams), Fraction(grams * mass), right * 1000, right / 22]


def _dilution(draw: random.Random, difficulty: int) -> Worked:
    first, volume, final = (
        draw.randint(1, 12),
        draw.randint(10, 100),
        draw.randint(110, 300 + 100 * difficulty),
    )
    right = Fraction(first * volume, final)
    text = (
        f"{volume} mL of a {first} mol/L solution are diluted with water to {final} mL. "
        "What is the concentration then?"
    )
    mistakes = [Fraction(first * final, volume), Fraction(first * volume, final + volume), Fraction(first * volume, final - volume)]  # fmt: skip
    return text, "mol/L", right, mistakes


def _gas(draw: random.Random, difficulty: int) -> Worked:
    litres, cold, hot = draw.randint(2, 30), draw.randint(250, 300), draw.randint(320, 500 + 50 * difficulty)
    right = Fraction(litres * hot, cold)
    text = f"{litres} L of an ideal gas at {cold} K are heated to {hot} K at constant pressure. What is the volume then?"
    celsius = Fraction(litres * (hot - 273), max(cold - 273, 1))
    return text, "L", right, [Fraction(litres * cold, hot), celsius, Fraction(litres), right * 2]


def _density(draw: random.Random, difficulty: int) -> Worked:
    side, mass = draw.randint(2, 6), draw.randint(20, 500 + 200 * difficulty)
    right = Fraction(mass, side**3)
    text = f"A cube with an edge of {side} cm has a mass of {mass} g. What is its density?"
    return text, "g/cm^3", right, [Fraction(mass, side), Fraction(mass, side**2), Fraction(side**3, mass), Fraction(mass, 6 * side**2)]  # fmt: skip


def _half_life(draw: random.Random, difficulty: int) -> Worked:
    years, lives, grams = draw.randint(2, 30), draw.randint(2, 3 + difficulty), 2 ** draw.randint(4, 9)
    right = Fraction(grams, 2**lives)
    text = f"A substance has a half-life of {years} years. How much of {grams} g is left after {years * lives} years?"
    return text, "g", right, [Fraction(grams, lives), Fraction(grams, 2 * lives), grams - right, Fraction(grams, 2 ** (lives - 1))]  # fmt: skip


def _dominant(draw: random.Random, difficulty: int) -> Worked:
    plants = 4 * draw.randint(10, 100 + 100 * difficulty)
    right = Fraction(3 * plants, 4)
    text = (
        f"Two pea plants, each with one dominant and one recessive allele for colour, have {plants} offspring. "
        "How many of them are expected to show the dominant colour?"
    )
    return (
        text,
        "plants",
        right,
        [Fraction(plants, 4), Fraction(plants, 2), Fraction(plants), Fraction(9 * plants, 16)],
    )


_KINDS: tuple[Callable[[random.Random, int], Worked], ...] = (
    _ohm, _power, _kinetic, _fall, _molar, _dilution, _gas, _density, _half_life, _dominant,
)  # fmt: skip
