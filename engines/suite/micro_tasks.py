"""Six tasks of one to three tokens, one for each domain: small enough for a model of a megabyte to learn in a minute.

They stand in for the suite wherever training itself is what is looked at. Each answer is a single word, whose
characters are graded one by one, so that a model that gets one of three right is told so.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.item import Domain, Item, SuiteGrade, SuiteTask, graded, make_item, no_answer

_LETTERS = "abc"

Question = tuple[str, str]
"""What is asked, and what is right."""


def _digits(draw: random.Random, difficulty: int) -> str:
    """Two digits, or three from difficulty 3 on."""
    return "".join(draw.choices("0123456789", k=2 if difficulty < 3 else 3))


def _next(draw: random.Random, difficulty: int) -> Question:
    digits = _digits(draw, difficulty)
    return f"next {digits}", "".join(str((int(digit) + 1) % 10) for digit in digits)


def _reverse(draw: random.Random, difficulty: int) -> Question:
    digits = _digits(draw, difficulty)
    return f"reverse {digits}", digits[::-1]


def _choice(draw: random.Random, difficulty: int) -> Question:
    values, place = _table(draw, difficulty)
    return f"{_written(values)} which {values[place]}", _LETTERS[place]


def _parity(draw: random.Random, difficulty: int) -> Question:
    digits = _digits(draw, difficulty)
    return f"odd {digits}", str(int(digits) % 2)


def _copy(draw: random.Random, difficulty: int) -> Question:
    digits = _digits(draw, difficulty)
    return f"copy {digits}", digits


def _look_up(draw: random.Random, difficulty: int) -> Question:
    values, place = _table(draw, difficulty)
    return f"{_written(values)} value {_LETTERS[place]}", values[place]


def _table(draw: random.Random, difficulty: int) -> tuple[list[str], int]:
    """The values of two or three letters, all different, and the place of one of them."""
    rows = 2 if difficulty < 3 else 3
    return draw.sample("0123456789", rows), draw.randrange(rows)


def _written(values: list[str]) -> str:
    return " ".join(letter + value for letter, value in zip(_LETTERS, values, strict=False))


def grade(item: Item, answer: str, _sandbox: Sandbox) -> SuiteGrade:
    """The share of the characters that are right, of an answer that is one word; `lenient` takes the last of several."""
    words = answer.split()
    if not words:
        return no_answer()
    gold, said = str(item.answer), words[-1]
    alone = len(words) == 1
    matches = sum(a == b for a, b in zip(gold, said, strict=False))
    share = matches / max(len(gold), len(said))
    return graded(said == gold, said, "whole" if alone else "last_word", asked_for=alone, score=share)


def _task(name: str, domain: Domain, ask: Callable[[random.Random, int], Question]) -> SuiteTask:
    def generate(seed: int, difficulty: int) -> Item:
        question, answer = ask(random.Random(f"{name} {seed}"), difficulty)
        return make_item(name, question, answer, difficulty=float(difficulty))

    def parse(row: Mapping[str, Any]) -> Item:
        return make_item(name, str(row["prompt"]), str(row["answer"]))

    return SuiteTask(name, domain, "", parse, generate, lambda item: str(item.answer), grade)


MICRO_TASKS: tuple[SuiteTask, ...] = (
    _task("micro_math", "math", _next),
    _task("micro_code", "code", _reverse),
    _task("micro_science", "science", _choice),
    _task("micro_logic", "logic", _parity),
    _task("micro_simulation", "simulation", _copy),
    _task("micro_tabular", "tabular", _look_up),
)
