"""LiveCodeBench in DeepCoder's copy: programs on stdin, and methods of a class `Solution`."""

import json
from collections.abc import Mapping
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.code_blocks import Code, below, python_code
from engines.suite.code_made import made_livecodebench_row
from engines.suite.code_tests import GRADING, TestsError, refuse_infra
from engines.suite.item import Item, SuiteGrade, SuiteTask, graded, grader_error, make_item, no_answer
from engines.suite.python_source import literal

_USUAL = (
    "import bisect, collections, functools, heapq, itertools, math, re, string, sys\nfrom bisect import *\n"
    "from collections import *\nfrom functools import *\nfrom heapq import *\nfrom itertools import *\nfrom math import *\n"
    "from typing import *\nfrom builtins import pow\n"
)
"""What the judges of such problems import in front of an answer, but for `math.pow`, which knows no modulus."""


def parse_livecodebench(row: Mapping[str, Any], solution: str = "", difficulty: int | None = None) -> Item:
    """Columns `problem`, `starter_code`, `tests` (JSON: `input`, `output`, `testtype`), `metadata` with `func_name`."""
    tests, metadata = _loaded(row["tests"]), _loaded(row.get("metadata") or {})
    kinds = {test["testtype"] for test in tests}
    if len(kinds) != 1 or not kinds <= {"stdin", "functional"}:
        raise ValueError(f"tests of type {sorted(kinds)}; one of stdin, functional is allowed")
    starter = row.get("starter_code") or ""
    is_method = kinds == {"functional"}
    asked = (
        f"Complete this code:\n```python\n{starter.rstrip()}\n```\nAnswer with the whole class in a ```python block."
        if is_method
        else "Write a Python program that reads from stdin and prints to stdout. Answer with it in a ```python block."
    )
    extra: dict[str, Any] = {"inputs": [test["input"] for test in tests]}
    if is_method:
        name = metadata.get("func_name") or (tests[0].get("metadata") or {}).get("func_name")
        if not name:
            raise ValueError("functional tests without a `func_name`")
        extra |= {"entry": f"Solution.{name}"}
    gold = {"outputs": [test["output"] for test in tests], "solution": solution}
    return make_item(
        "livecodebench", f"{row['problem'].strip()}\n\n{asked}", gold, extra, difficulty=difficulty
    )


def grade_livecodebench(item: Item, text: str, sandbox: Sandbox) -> SuiteGrade:
    """Right where all tests pass: outputs by tokens and numbers by value, a method's values as values."""
    entry = item.details.get("entry", "")
    code = python_code(text, "Solution" if entry else "")
    if code is None:
        return no_answer()
    try:
        right, detail = (_methods_pass if entry else _programs_pass)(item, code, sandbox)
    except TestsError as error:
        return grader_error(str(error))
    return graded(right, code.text, code.method, asked_for=code.asked_for, detail=detail)


def _methods_pass(item: Item, code: Code, sandbox: Sandbox) -> tuple[bool, str]:
    from engines.sandbox import Comparison, matches

    expected = [_value(text) for text in item.answer["outputs"]]
    inputs = [
        tuple(_value(line) for line in text.split("\n") if line.strip()) for text in item.details["inputs"]
    ]
    outcomes = sandbox.call(below(_USUAL, code.text), item.details["entry"], inputs, GRADING)
    refuse_infra(outcomes)
    how = Comparison(sequences_alike=True)  # JSON, which the tests are written in, has no tuples.
    for number, (outcome, wanted) in enumerate(zip(outcomes, expected, strict=True), start=1):
        if outcome.kind != "ok" or not matches(wanted, outcome.value, how):
            return (
                False,
                f"test {number} of {len(expected)}: {outcome.kind}: {outcome.detail or 'another value'}",
            )
    return True, f"{len(expected)} tests"


def _programs_pass(item: Item, code: Code, sandbox: Sandbox) -> tuple[bool, str]:
    from dataclasses import replace

    from engines.sandbox import same_output

    expected: list[str] = item.answer["outputs"]
    room = 2 * max(map(len, expected)) + GRADING.output
    limits = replace(
        GRADING, output=room, run_wall=max(GRADING.run_wall, (GRADING.wall + 1) * len(expected) + 5)
    )
    outcomes = sandbox.run_stdin(below(_USUAL, code.text), item.details["inputs"], limits)
    refuse_infra(outcomes)
    for number, (outcome, wanted) in enumerate(zip(outcomes, expected, strict=True), start=1):
        if outcome.kind != "ok" or not same_output(wanted, outcome.value):
            return (
                False,
                f"test {number} of {len(expected)}: {outcome.kind}: {outcome.detail or 'another output'}",
            )
    return True, f"{len(expected)} tests"


def _value(text: str) -> Any:
    """A value as the tests write it: JSON, else a Python literal."""
    try:
        return json.loads(text)
    except ValueError:
        return literal(text.strip())


def _loaded(held: Any) -> Any:
    return json.loads(held) if isinstance(held, str) else held


def _generate(seed: int, difficulty: int) -> Item:
    row, solution = made_livecodebench_row(seed, difficulty)
    return parse_livecodebench(row, solution, difficulty)


def _gold(item: Item) -> str:
    solution = item.answer["solution"]
    if not solution:
        raise ValueError("LiveCodeBench publishes no solutions")
    return f"```python\n{solution}\n```"


LIVECODEBENCH = SuiteTask(
    name="livecodebench",
    domain="code",
    hub="agentica-org/DeepCoder-Preview-Dataset",
    hub_config="lcbv5",
    parse=parse_livecodebench,
    generate=_generate,
    gold_answer=_gold,
    grade=grade_livecodebench,
    samples=4,
)
