"""HumanEval and MBPP: write a function that passes the tests. The whole function is asked for, in a ```python block."""

import ast
import weakref
from collections.abc import Mapping
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.code_blocks import Code, below, defined_names, parsed_python, python_code
from engines.suite.code_made import made_humaneval_row, made_mbpp_row
from engines.suite.code_tests import Plan, Tests, TestsError, passes, plan_of
from engines.suite.item import Item, SuiteGrade, SuiteTask, graded, grader_error, make_item, no_answer
from engines.suite.livecodebench_task import LIVECODEBENCH
from engines.suite.python_source import parse

_PLANS: "weakref.WeakKeyDictionary[Sandbox, dict[str, Plan]]" = weakref.WeakKeyDictionary()
"""By item: the same tests are put to every sample, in training again and again."""


def parse_humaneval(row: Mapping[str, Any], difficulty: int | None = None) -> Item:
    """Columns `prompt`, `canonical_solution`, `test`, `entry_point`."""
    source, entry = row["prompt"], row["entry_point"]
    prompt = f"Complete this Python function. Answer with the whole function in a ```python block.\n\n```python\n{source.strip()}\n```"
    gold = {"solution": row["canonical_solution"], "test": row["test"]}
    return make_item("humaneval", prompt, gold, {"source": source, "entry": entry}, difficulty=difficulty)


def parse_mbpp(row: Mapping[str, Any], difficulty: int | None = None) -> Item:
    """Columns `text`, `code`, `test_list`, `test_setup_code`, as in the full MBPP; `prompt` and `test_imports` as in the sanitized."""
    tests = [test.strip() for test in row["test_list"]]
    solution = row["code"].replace("\r\n", "\n")
    setup = "\n".join([*row.get("test_imports", []), row.get("test_setup_code", "") or ""]).replace(
        "\r\n", "\n"
    )
    listed = "\n".join(tests)
    prompt = (
        f"{(row.get('text') or row['prompt']).strip()}\nYour code should pass these tests:\n```python\n{listed}\n```\n"
        "Answer with the whole function in a ```python block."
    )
    gold = {"solution": solution, "tests": tests, "setup": setup.strip()}
    return make_item("mbpp", prompt, gold, {"entry": tested_name(tests, solution)}, difficulty=difficulty)


def tested_name(tests: list[str], solution: str) -> str:
    """The function that the tests call. Raises ValueError where they call none of the solution's."""
    defined = defined_names(solution)
    for node in ast.walk(parse("\n".join(tests))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in defined:
            return node.func.id
    raise ValueError("the tests call no function of the solution")


def humaneval_tests(item: Item) -> Tests:
    """The body of the benchmark's `check(candidate)`."""
    gold, details = item.answer, item.details
    tree = parse(gold["test"])
    check = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "check")
    around = "\n".join(ast.unparse(node) for node in tree.body if node is not check)
    body = "\n".join(ast.unparse(statement) for statement in check.body)
    context = f"{details['source']}{gold['solution']}\n{around}\n"
    return Tests(body, check.args.args[0].arg, details["entry"], context)


def mbpp_tests(item: Item) -> Tests:
    """The benchmark's list of assertions."""
    gold, entry = item.answer, item.details["entry"]
    return Tests("\n".join(gold["tests"]), entry, entry, gold["solution"] + "\n", gold["setup"])


def humaneval_program(item: Item, code: Code) -> Code:
    """The answer below what the prompt has above its function; a bare continuation of the prompt is taken leniently."""
    source, entry = item.details["source"], item.details["entry"]
    if entry not in defined_names(code.text):
        continued = source + code.text
        if parsed_python(code.text) is None and parsed_python(continued) is not None:
            return Code(continued, "continuation", False)
    return Code(below(_above(source, entry), code.text), code.method, code.asked_for)


def _above(source: str, entry: str) -> str:
    """The imports and helpers in front of a function."""
    for node in parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name == entry:
            return "\n".join(source.splitlines()[: node.lineno - 1])
    raise ValueError(f"the prompt does not define {entry}")


def grade_humaneval(item: Item, text: str, sandbox: Sandbox) -> SuiteGrade:
    """Right where the function passes every test; its values are compared outside of the sandbox."""
    code = python_code(text, item.details["entry"])
    return _grade(item, humaneval_tests(item), code and humaneval_program(item, code), sandbox)


def grade_mbpp(item: Item, text: str, sandbox: Sandbox) -> SuiteGrade:
    """Right where the function passes every test; its values are compared outside of the sandbox."""
    return _grade(item, mbpp_tests(item), python_code(text, item.details["entry"]), sandbox)


def plan_for(item: Item, tests: Tests, sandbox: Sandbox) -> Plan:
    """The item's tests, ready; prepared once. Raises TestsError."""
    plans = _PLANS.setdefault(sandbox, {})
    if item.uid not in plans:
        plans[item.uid] = plan_of(tests, sandbox)
    return plans[item.uid]


def _grade(item: Item, tests: Tests, code: Code | None, sandbox: Sandbox) -> SuiteGrade:
    if code is None:
        return no_answer()
    try:
        right, detail = passes(plan_for(item, tests, sandbox), tests, code.text, sandbox)
    except TestsError as error:
        return grader_error(str(error))
    return graded(right, code.text, code.method, asked_for=code.asked_for, detail=detail)


def _humaneval_gold(item: Item) -> str:
    return f"```python\n{item.details['source']}{item.answer['solution']}\n```"


def _mbpp_gold(item: Item) -> str:
    return f"```python\n{item.answer['solution']}\n```"


HUMANEVAL = SuiteTask(
    name="humaneval",
    domain="code",
    hub="openai/openai_humaneval",
    parse=parse_humaneval,
    generate=lambda seed, difficulty: parse_humaneval(made_humaneval_row(seed, difficulty), difficulty),
    gold_answer=_humaneval_gold,
    grade=grade_humaneval,
    samples=4,
)
MBPP = SuiteTask(
    name="mbpp",
    domain="code",
    hub="google-research-datasets/mbpp",
    parse=parse_mbpp,
    generate=lambda seed, difficulty: parse_mbpp(made_mbpp_row(seed, difficulty), difficulty),
    gold_answer=_mbpp_gold,
    grade=grade_mbpp,
)
TASKS = (HUMANEVAL, MBPP, LIVECODEBENCH)
