"""Made functions over lists of integers: a chain of steps, said in words and written in Python, with examples.

The chains feed every code and simulation task: a docstring to complete, a text with assertions, a program on stdin, a
function whose result is asked for. Difficulty 0 to 5 is the number of steps beyond the first.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

Step = tuple[str, str]
"""Words, and a line of Python that changes `xs`."""

_STEPS: tuple[Callable[[random.Random], Step], ...] = (
    lambda r: ("keep only the even numbers", "xs = [x for x in xs if x % 2 == 0]"),
    lambda r: ("keep only the odd numbers", "xs = [x for x in xs if x % 2 == 1]"),
    lambda r: (_("keep only the numbers greater than {}", k := r.randint(-5, 8)), f"xs = [x for x in xs if x > {k}]"),
    lambda r: (_("drop the multiples of {}", k := r.randint(3, 7)), f"xs = [x for x in xs if x % {k} != 0]"),
    lambda r: (_("add {} to each number", k := r.randint(2, 9)), f"xs = [x + {k} for x in xs]"),
    lambda r: (_("multiply each number by {}", k := r.randint(2, 5)), f"xs = [x * {k} for x in xs]"),
    lambda r: (_("take each number modulo {}", k := r.randint(3, 12)), f"xs = [x % {k} for x in xs]"),
    lambda r: ("square each number", "xs = [x * x for x in xs]"),
    lambda r: ("negate each number", "xs = [-x for x in xs]"),
    lambda r: ("take the absolute value of each number", "xs = [abs(x) for x in xs]"),
    lambda r: ("sort the numbers in ascending order", "xs = sorted(xs)"),
    lambda r: ("sort the numbers in descending order", "xs = sorted(xs, reverse=True)"),
    lambda r: ("reverse the list", "xs = xs[::-1]"),
    lambda r: ("keep only the first occurrence of each number", "xs = list(dict.fromkeys(xs))"),
    lambda r: (_("keep only the first {} numbers", k := r.randint(2, 5)), f"xs = xs[:{k}]"),
    lambda r: (_("drop the first {} numbers", k := r.randint(1, 2)), f"xs = xs[{k}:]"),
    lambda r: ("keep every second number, starting with the first", "xs = xs[::2]"),
    lambda r: ("replace each number by the sum of all numbers up to and including it", "xs = [sum(xs[:i + 1]) for i in range(len(xs))]"),
    lambda r: ("replace the list by the differences between each number and the one before it", "xs = [b - a for a, b in zip(xs, xs[1:])]"),
)  # fmt: skip
_RESULTS: tuple[Step, ...] = (
    ("return the list", "return xs"),
    ("return the list", "return xs"),
    ("return the sum of the numbers (0 for an empty list)", "return sum(xs)"),
    ("return the largest number (0 for an empty list)", "return max(xs, default=0)"),
    ("return how many numbers are left", "return len(xs)"),
    ("return the numbers as one string, joined by commas", 'return ",".join(map(str, xs))'),
    (
        "return a pair: the smallest and the largest number, or (0, 0) for an empty list",
        "return (min(xs, default=0), max(xs, default=0))",
    ),
)
_VERBS = ("process", "convert", "transform", "reduce", "arrange", "filter", "shape", "digest")
_NOUNS = ("numbers", "values", "scores", "readings", "entries", "samples", "amounts", "levels")


@dataclass(frozen=True)
class Chain:
    """A made function of one list of integers."""

    name: str
    words: tuple[str, ...]
    lines: tuple[str, ...]
    inputs: tuple[list[int], ...]

    @property
    def code(self) -> str:
        """Its source."""
        body = "\n".join(f"    {line}" for line in self.lines)
        return f"def {self.name}(xs):\n{body}\n"

    @property
    def text(self) -> str:
        """What it does, in one sentence."""
        *first, last = self.words
        return f"{', then '.join(first)}, and {last}" if first else last

    def result(self, xs: list[int]) -> Any:
        """What it returns: the source is ours, so it runs right here."""
        scope: dict[str, Any] = {}
        exec(self.code, scope)
        return scope[self.name](list(xs))


def made_chain(seed: int, difficulty: int, task: str) -> Chain:
    """A chain whose results on its inputs are not all alike."""
    source = random.Random(f"{task} {seed} {difficulty}")
    while True:
        chain = _drawn(source, difficulty)
        if len({repr(chain.result(xs)) for xs in chain.inputs}) >= 4:
            return chain


def _drawn(source: random.Random, difficulty: int) -> Chain:
    steps = [make(source) for make in source.sample(_STEPS, 1 + difficulty)]
    steps.append(source.choice(_RESULTS))
    inputs: list[list[int]] = [[]]
    while len(inputs) < 8:
        xs = [source.randint(-9, 20) for _ in range(source.randint(3, 9))]
        if xs not in inputs:
            inputs.append(xs)
    source.shuffle(inputs)
    name = f"{source.choice(_VERBS)}_{source.choice(_NOUNS)}"
    return Chain(name, tuple(words for words, _ in steps), tuple(line for _, line in steps), tuple(inputs))


def made_humaneval_row(seed: int, difficulty: int) -> dict[str, Any]:
    """A row as HumanEval has them, with two of the tests as examples."""
    chain = made_chain(seed, difficulty, "humaneval")
    examples = "\n".join(f"    >>> {chain.name}({xs})\n    {chain.result(xs)!r}" for xs in chain.inputs[:2])
    head = f'def {chain.name}(xs):\n    """Given a list of integers, {chain.text}.\n{examples}\n    """\n'
    checks = "\n".join(f"    assert candidate({xs}) == {chain.result(xs)!r}" for xs in chain.inputs)
    return {
        "task_id": f"made/{seed}",
        "prompt": head,
        "canonical_solution": chain.code.split("\n", 1)[1],
        "test": f"def check(candidate):\n{checks}\n",
        "entry_point": chain.name,
    }


def made_mbpp_row(seed: int, difficulty: int) -> dict[str, Any]:
    """A row as MBPP has them."""
    chain = made_chain(seed, difficulty, "mbpp")
    return {
        "task_id": seed,
        "text": f"Write a function {chain.name} that takes a list of integers: {chain.text}.",
        "code": chain.code,
        "test_list": [f"assert {chain.name}({xs}) == {chain.result(xs)!r}" for xs in chain.inputs[:3]],
        "test_setup_code": "",
        "challenge_test_list": [],
    }


def made_livecodebench_row(seed: int, difficulty: int) -> tuple[dict[str, Any], str]:
    """A row as LiveCodeBench has them in DeepCoder's copy, a program or a method by turns; and a solution."""
    chain = made_chain(seed, difficulty, "livecodebench")
    if seed % 2:
        tests = [
            {"input": json.dumps(xs), "output": json.dumps(chain.result(xs)), "testtype": "functional"}
            for xs in chain.inputs
        ]
        starter = f"class Solution:\n    def {chain.name}(self, xs: List[int]):\n        "
        problem = f"Given a list of integers xs, {chain.text}."
        body = "\n".join(f"        {line}" for line in chain.lines)
        solution = f"class Solution:\n    def {chain.name}(self, xs):\n{body}\n"
        metadata = {"func_name": chain.name}
    else:
        tests = [
            {
                "input": f"{len(xs)}\n{_joined(xs)}\n",
                "output": f"{_joined(chain.result(xs))}\n",
                "testtype": "stdin",
            }
            for xs in chain.inputs
        ]
        problem = (
            "The first line of the input is an integer n, the second line has n integers, separated by spaces. Take these n "
            f"integers as a list, {chain.text}; but print instead of returning, with spaces between the members of a list or pair."
        )
        solution = f"{chain.code}\ninput()\nfound = {chain.name}([int(x) for x in input().split()])\nprint(*found if isinstance(found, (list, tuple)) else [found])\n"
        starter, metadata = "", {}
    return {
        "problem": problem,
        "starter_code": starter,
        "tests": json.dumps(tests),
        "metadata": metadata,
    }, solution


def made_codeio_row(seed: int, difficulty: int) -> dict[str, Any]:
    """A row as CodeI/O has them."""
    chain = replace(made_chain(seed, difficulty, "codeio"), name="main_solution")
    xs = next(xs for xs in chain.inputs if xs)
    return {
        "problem_description": f"Given a list of integers, {chain.text}.",
        "io_requirements": "Input:\n  xs (list of int): the numbers.\nOutput:\n  what is to be returned; a pair is a list.",
        "refcode": chain.code,
        "funcname": "main_solution",
        "ios": [{"input": {"xs": xs}, "output": json.loads(json.dumps(chain.result(xs)))}],
    }


def made_cruxeval_row(seed: int, difficulty: int) -> dict[str, Any]:
    """A row as CRUXEval has them."""
    chain = replace(made_chain(seed, difficulty, "cruxeval"), name="f")
    xs = next(xs for xs in chain.inputs if xs)
    return {"code": chain.code, "input": repr(xs), "output": repr(chain.result(xs)), "id": f"made_{seed}"}


def _joined(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _(words: str, number: int) -> str:
    return words.format(number)
