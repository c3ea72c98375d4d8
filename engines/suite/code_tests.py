"""Tests that were written as assertions, taken apart into what goes in and what must come out.

`assert f(args) == expected` becomes arguments, which a submission is called on, and an expected value, which stays with
the grader. Where arguments or values are expressions, the benchmark's own code works them out in the sandbox, in a
process that no submission is in. Three ways, tried in this order:

- `values`: every assertion is about one call; the values are compared here.
- `replay`: the tests do more with a value (`assert abs(poly(xs, f(xs))) < 1e-4`). They are run once on the reference
  solution to learn the arguments, and once more, without the submission, on the values that the submission returned.
- `expressions`: the arguments are objects of the submission's own classes. It gets the calls as source; the values are
  compared here all the same.

So no submission ever shares a process with an expected output, and an assertion it could tamper with does not exist.
"""

import ast
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from engines.sandbox import Limits, NotPlainError, Outcome, Sandbox, matches
from engines.suite.assertions import check_source
from engines.suite.python_source import literal, parse

GRADING = Limits(wall=6.0, run_wall=30.0)
"""Of a submission: 6 s for each test (LiveCodeBench), 30 s in all (GURU)."""
_PATIENCE = 10.0
"""A submission may take so many times as long as the benchmark's own solution (EvalPlus), where that is more."""
_LONGEST_WALL = 60.0
_TRUSTED = Limits(wall=30.0, run_wall=30.0, result=1 << 22)

_COLLECT = """
def __collect__():
    from copy import deepcopy as __copy__
    __checks__ = []
{body}
    return __checks__
"""
_RECORD = """
def __record__():
    import random
    from copy import deepcopy
    random.seed(0)
    calls = []
    def recorder(*args):
        calls.append(deepcopy(args))
        return {entry}(*args)
    __check__(recorder)
    return calls
"""
_REPLAY = """
def __replay__(calls, values):
    import random
    from copy import deepcopy
    random.seed(0)
    left = list(zip(calls, values))
    def player(*args):
        wanted, value = left.pop(0)
        if tuple(args) != tuple(wanted):
            raise LookupError('the tests call with other arguments every time')
        return deepcopy(value)
    __check__(player)
    return True
"""


class TestsError(RuntimeError):
    """The tests, or the sandbox, failed: nothing is known about any submission."""

    __test__ = False


@dataclass(frozen=True)
class Check:
    """What the value of one call must be."""

    kind: Literal["equal", "is", "truth", "close"]
    expected: Any
    tolerance: float = 0.0


@dataclass(frozen=True)
class Tests:
    """Tests as their benchmark has them. `body` calls the function by `called`."""

    __test__ = False

    body: str
    called: str
    entry: str
    context: str
    """The benchmark's own solution and helpers; only ever run apart from a submission."""
    setup: str = ""
    """What makes the arguments."""


@dataclass(frozen=True)
class Plan:
    """Tests ready to be put to submissions."""

    way: Literal["values", "replay", "expressions"]
    inputs: tuple[tuple[Any, ...], ...]
    checks: tuple[Check, ...] = ()
    source: str = ""
    """`expressions`: appended to the submission."""
    wall: float = GRADING.wall
    """Seconds that a submission has for each input."""


def plan_of(tests: Tests, sandbox: Sandbox) -> Plan:
    """The first way that these tests can be put, tried on the benchmark's own solution.

    Raises TestsError where there is none, or where that solution fails: then no submission's failure means anything.
    """
    plan = _untried_plan(tests, sandbox)
    if not tests.context.strip() and plan.way == "values":
        return plan  # rows without a solution: literals alone, which need no proof
    began = time.monotonic()
    right, detail = passes(plan, tests, tests.context, sandbox, _TRUSTED)
    if not right:
        raise TestsError(f"the tests fail on the benchmark's own solution: {detail}")
    took = time.monotonic() - began
    return replace(plan, wall=min(_LONGEST_WALL, max(GRADING.wall, _PATIENCE * took)))


def _untried_plan(tests: Tests, sandbox: Sandbox) -> Plan:
    statements = parse(tests.body).body
    found = [check_source(statement, tests.called) for statement in statements]
    rewritten = [source for source in found if source is not None]
    if len(rewritten) == len(found):
        if (literal := _literal_plan(rewritten)) is not None:
            return literal
        body = textwrap.indent("\n".join(rewritten) or "pass", "    ")
        outcome = _trusted(
            tests.context + "\n" + tests.setup + _COLLECT.format(body=body), "__collect__", (), sandbox
        )
        if outcome.kind == "ok":
            return _values_plan(outcome.value)
        if outcome.kind == "wrong_type":
            return _expressions_plan(tests, statements)
        raise TestsError(f"the tests cannot be prepared: {outcome.kind}: {outcome.detail}")
    outcome = _trusted(_checker(tests) + _RECORD.format(entry=tests.entry), "__record__", (), sandbox)
    if outcome.kind != "ok":
        raise TestsError(f"the tests fail on the benchmark's own solution: {outcome.kind}: {outcome.detail}")
    return Plan("replay", tuple(tuple(arguments) for arguments in outcome.value))


def passes(
    plan: Plan, tests: Tests, program: str, sandbox: Sandbox, limits: Limits | None = None
) -> tuple[bool, str]:
    """Whether a submission passes all tests, and what the first failure was. Raises TestsError."""
    limits = limits or replace(GRADING, wall=plan.wall, run_wall=max(GRADING.run_wall, plan.wall))
    if plan.way == "expressions":
        program, entry = f"{program}\n{plan.source}", "__expression__"
    else:
        entry = tests.entry
    outcomes = sandbox.call(program, entry, plan.inputs, limits)
    refuse_infra(outcomes)
    for number, outcome in enumerate(outcomes, start=1):
        place = f"test {number} of {len(outcomes)}"
        if outcome.kind != "ok":
            return False, f"{place}: {outcome.kind}: {outcome.detail}"
        if plan.checks and not _holds(plan.checks[number - 1], outcome.value):
            return False, f"{place}: another value"
    if plan.way == "replay":
        return _replayed(plan, tests, [outcome.value for outcome in outcomes], sandbox)
    return True, f"{len(outcomes)} tests by {plan.way}"


def _replayed(plan: Plan, tests: Tests, values: list[Any], sandbox: Sandbox) -> tuple[bool, str]:
    """Whether the tests hold on these values. Nothing that a value does to them takes it out of the count."""
    try:
        played = _trusted(_checker(tests) + _REPLAY, "__replay__", (list(plan.inputs), values), sandbox)
    except NotPlainError as error:
        return False, f"the values cannot be passed on: {error}"
    if played.kind != "ok":
        return False, f"replayed: {played.kind}: {played.detail}"
    return True, f"{len(values)} tests by replay"


def refuse_infra(outcomes: Sequence[Outcome]) -> None:
    """Raises TestsError where the sandbox, not the submission, failed."""
    for outcome in outcomes:
        if outcome.kind == "infra":
            raise TestsError(f"the sandbox failed: {outcome.detail}")


def _trusted(code: str, entry: str, arguments: tuple[Any, ...], sandbox: Sandbox) -> Outcome:
    outcomes = sandbox.call(code, entry, [arguments], _TRUSTED)
    refuse_infra(outcomes)
    return outcomes[0]


def _holds(check: Check, value: Any) -> bool:
    if check.kind == "is":
        return type(value) is type(check.expected) and bool(value == check.expected)
    if check.kind == "truth":
        return bool(value) is bool(check.expected)
    if check.kind == "close":
        if type(value) not in (bool, int, float):
            return False
        try:
            return bool(abs(value - check.expected) < check.tolerance)
        except OverflowError:
            return False
    return matches(check.expected, value)


def _checker(tests: Tests) -> str:
    body = textwrap.indent(tests.body, "    ")
    return f"{tests.context}\n{tests.setup}\ndef __check__({tests.called}):\n{body}\n"


def _literal_plan(sources: Sequence[str]) -> Plan | None:
    """The plan without any run, where all arguments and values are literals."""
    prefix, suffix = "__checks__.append(__copy__(", "))"
    entries = [source for source in sources if source != "pass"]
    if not all(source.startswith(prefix) for source in entries):
        return None
    try:
        return _values_plan([literal(source.removeprefix(prefix).removesuffix(suffix)) for source in entries])
    except (ValueError, TypeError):
        return None


def _values_plan(entries: Sequence[tuple[Any, tuple[Any, ...], Any, float]]) -> Plan:
    if not entries:
        raise TestsError("there are no tests")
    checks = tuple(Check(kind, expected, tolerance) for kind, _, expected, tolerance in entries)
    return Plan("values", tuple(arguments for _, arguments, _, _ in entries), checks)


def _expressions_plan(tests: Tests, statements: Sequence[ast.stmt]) -> Plan:
    calls, checks = [], []
    for statement in statements:
        if not (isinstance(statement, ast.Assert) and isinstance(statement.test, ast.Compare)):
            raise TestsError("the arguments are no plain data and the tests no plain comparisons")
        calls.append(ast.unparse(statement.test.left))
        try:
            checks.append(Check("equal", ast.literal_eval(statement.test.comparators[0])))
        except ValueError as error:
            raise TestsError("neither the arguments nor the values are plain data") from error
    called = f"{tests.called} = {tests.entry}\n" if tests.called != tests.entry else ""
    listed = ", ".join(f"lambda: {call}" for call in calls)
    source = f"{tests.setup}\n{called}def __expression__(number):\n    return [{listed}][number]()\n"
    return Plan("expressions", tuple((number,) for number in range(len(calls))), tuple(checks), source)
