"""CodeI/O and CRUXEval: say what a function returns, or find an input for which it returns what is given.

Predicted outputs are compared as values and never run. Predicted inputs are data: the benchmark's own function is run
on them in the sandbox, and any input that leads to the given output is right.
"""

import ast
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.code_blocks import Code, depth_of, json_object, parsed_python, python_code
from engines.suite.code_made import made_codeio_row, made_cruxeval_row
from engines.suite.item import Item, SuiteGrade, SuiteTask, graded, grader_error, make_item, no_answer
from engines.suite.python_source import literal, parse

_LONGEST = 10_000
"""Characters of an assertion."""
_DEEPEST = 100
"""Nodes above each other in an answer's syntax tree."""
_BUILDERS = ("dict", "set", "frozenset", "list", "tuple", "range")
"""What a predicted argument may call, on literals: CRUXEval's own inputs do."""


# --- CodeI/O -----------------------------------------------------------------------------------------------------------


def parse_codeio(row: Mapping[str, Any], difficulty: int | None = None) -> Item:
    """Columns `problem_description`, `io_requirements`, `refcode`, `ios`; the first pair, in a direction that its text decides."""
    pair = row["ios"][0]
    text = json.dumps([row["refcode"], pair], sort_keys=True)
    asks_input = hashlib.blake2b(text.encode(), digest_size=1).digest()[0] % 2 == 0
    given, asked = ("output", "input") if asks_input else ("input", "output")
    form = (
        '{"input": {...}} with one key for each input variable. Any input with this output is right.'
        if asks_input
        else '{"output": ...}'
    )
    prompt = (
        f"{row['problem_description'].strip()}\n\nThe input and output requirements are:\n{row['io_requirements'].strip()}\n\n"
        f"This is the reference code:\n```python\n{row['refcode'].strip()}\n```\n\n"
        f"Given this {given}:\n{json.dumps(pair[given])}\n\nPredict the {asked} without running any code. "
        f"Put the final answer into a ```json block: {form}"
    )
    extra = {
        "asked": asked,
        "given": pair[given],
        "code": row["refcode"],
        "entry": row.get("funcname") or "main_solution",
    }
    return make_item("codeio", prompt, pair[asked], extra, difficulty=difficulty)


def grade_codeio(item: Item, text: str, sandbox: Sandbox) -> SuiteGrade:
    """An output must be the given one's; an input must lead to it when the reference runs on it."""
    from engines.sandbox import Comparison, matches

    found = json_object(text)
    asked = item.details["asked"]
    if found is None or asked not in found[0]:
        return no_answer("none" if found is None else found[1].method)
    predicted, place = found[0][asked], found[1]
    how = Comparison(sequences_alike=True)
    right, detail = False, ""
    if asked == "output":
        right = matches(item.answer, predicted, how)
    elif not isinstance(predicted, dict):
        detail = "the input is no object"
    else:
        code = (
            f"{item.details['code']}\ndef __run__(given):\n    import json\n"
            f"    return json.loads(json.dumps({item.details['entry']}(**given)))\n"
        )
        outcome = _run(code, (predicted,), sandbox)
        if outcome.kind == "infra" or "ModuleNotFoundError" in outcome.detail:
            return grader_error(f"the reference code does not run: {outcome.detail}")
        right = outcome.kind == "ok" and matches(item.details["given"], outcome.value, how)
        detail = outcome.detail
    return graded(right, place.text, place.method, asked_for=place.asked_for, detail=detail)


# --- CRUXEval ----------------------------------------------------------------------------------------------------------


def parse_cruxeval_output(row: Mapping[str, Any], difficulty: int | None = None) -> Item:
    """Columns `code`, `input`, `output`; the output is asked for."""
    prompt = (
        f"```python\n{row['code'].strip()}\n\nassert f({row['input']}) == ??\n```\n\nFind the literal to put in place of ??, "
        "so that the assertion holds. Answer with the completed assertion in a ```python block."
    )
    return make_item("cruxeval_o", prompt, row["output"], {"input": row["input"]}, difficulty=difficulty)


def parse_cruxeval_input(row: Mapping[str, Any], difficulty: int | None = None) -> Item:
    """Columns `code`, `input`, `output`; an input is asked for."""
    prompt = (
        f"```python\n{row['code'].strip()}\n\nassert f(??) == {row['output']}\n```\n\nFind arguments to put in place of ??, "
        "so that the assertion holds; there may be several. Answer with the completed assertion in a ```python block."
    )
    extra = {"code": row["code"], "output": row["output"]}
    return make_item("cruxeval_i", prompt, row["input"], extra, difficulty=difficulty)


def grade_cruxeval_output(item: Item, text: str, _sandbox: Sandbox) -> SuiteGrade:
    """The one assertion must be about the given call; its literal is compared as a value, nothing is run."""
    from engines.sandbox import Comparison, matches

    found = _assertion(text)
    if found is None:
        return no_answer()
    call, value, place = found
    if ast.dump(call) != ast.dump(_call_of(item.details["input"])):
        return no_answer(place.method, "the assertion is about another call")
    try:
        right = matches(literal(item.answer), ast.literal_eval(value), Comparison(tolerance=0.0))
        detail = ""
    except (ValueError, TypeError, RecursionError, MemoryError):
        right, detail = False, "the predicted value is no literal"
    return graded(right, ast.unparse(value), place.method, asked_for=place.asked_for, detail=detail)


def grade_cruxeval_input(item: Item, text: str, sandbox: Sandbox) -> SuiteGrade:
    """The one assertion must be about the given output; the function is run on the predicted arguments."""
    from engines.sandbox import Comparison, matches

    found = _assertion(text)
    if found is None:
        return no_answer()
    call, value, place = found
    given = literal(item.details["output"])
    try:
        if not matches(given, ast.literal_eval(value), Comparison(tolerance=0.0)):
            return no_answer(place.method, "the assertion is about another output")
    except (ValueError, TypeError, RecursionError, MemoryError):
        return no_answer(place.method, "the assertion is about another output")
    predicted = ast.unparse(call)
    is_own = ast.dump(call) == ast.dump(_call_of(item.answer))
    # The submission's text is run here, so it may be data and nothing else.
    if not is_own and not all(map(_is_data, [*call.args, *(keyword.value for keyword in call.keywords)])):
        return graded(
            False, predicted, place.method, asked_for=place.asked_for, detail="the arguments are no literals"
        )
    outcome = _run(f"{item.details['code']}\ndef __run__():\n    return {predicted}\n", (), sandbox)
    if outcome.kind == "infra":
        return grader_error(f"the sandbox failed: {outcome.detail}")
    right = outcome.kind == "ok" and matches(given, outcome.value, Comparison(tolerance=0.0))
    return graded(right, predicted, place.method, asked_for=place.asked_for, detail=outcome.detail)


def _assertion(text: str) -> tuple[ast.Call, ast.expr, Code] | None:
    """Call and value of the one `assert f(...) == ...` of the answer; None where there is none, or several."""
    place = python_code(text, "f")
    if place is None or not place.asked_for:
        lines = [line.strip().strip("`") for line in text.splitlines() if "assert f(" in line]
        if not lines:
            return None
        place = Code(lines[-1][lines[-1].index("assert f(") :], "bare_line", False)
    tree = parsed_python(place.text) if len(place.text) <= _LONGEST else None
    if (
        tree is None or depth_of(tree) > _DEEPEST
    ):  # Walking a deeper one would end in an error, and out of the count.
        return None
    try:
        ast.unparse(tree), ast.dump(tree)
    except (ValueError, RecursionError):  # An integer too long to be written.
        return None
    asserted = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    if len(asserted) != 1 or not isinstance(asserted[0].test, ast.Compare):
        return None
    test = asserted[0].test
    is_equality = len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)
    is_f = (
        isinstance(test.left, ast.Call) and isinstance(test.left.func, ast.Name) and test.left.func.id == "f"
    )
    if not (is_equality and is_f and isinstance(test.left, ast.Call)):
        return None
    return test.left, test.comparators[0], place


def _call_of(arguments: str) -> ast.expr:
    return parse(f"f({arguments})", mode="eval").body


def _is_data(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BUILDERS:
        return all(map(_is_data, [*node.args, *(keyword.value for keyword in node.keywords)]))
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return False
    return True


def _run(code: str, arguments: tuple[Any, ...], sandbox: Sandbox) -> Any:
    from engines.sandbox import Limits

    return sandbox.call(code, "__run__", [arguments], Limits())[0]


CODEIO = SuiteTask(
    name="codeio",
    domain="simulation",
    hub="hkust-nlp/CodeIO-PyEdu-Reasoning-Raw",
    hub_split="train",
    parse=parse_codeio,
    generate=lambda seed, difficulty: parse_codeio(made_codeio_row(seed, difficulty), difficulty),
    gold_answer=lambda item: f"```json\n{json.dumps({item.details['asked']: item.answer})}\n```",
    grade=grade_codeio,
    samples=4,
)
CRUXEVAL_I = SuiteTask(
    name="cruxeval_i",
    domain="simulation",
    hub="cruxeval-org/cruxeval",
    parse=parse_cruxeval_input,
    generate=lambda seed, difficulty: parse_cruxeval_input(made_cruxeval_row(seed, difficulty), difficulty),
    gold_answer=lambda item: f"```python\nassert f({item.answer}) == {item.details['output']}\n```",
    grade=grade_cruxeval_input,
)
CRUXEVAL_O = SuiteTask(
    name="cruxeval_o",
    domain="simulation",
    hub="cruxeval-org/cruxeval",
    parse=parse_cruxeval_output,
    generate=lambda seed, difficulty: parse_cruxeval_output(made_cruxeval_row(seed, difficulty), difficulty),
    gold_answer=lambda item: f"```python\nassert f({item.details['input']}) == {item.answer}\n```",
    grade=grade_cruxeval_output,
)
TASKS = (CODEIO, CRUXEVAL_I, CRUXEVAL_O)
