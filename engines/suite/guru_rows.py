"""Rows of GURU and other datasets in verl's form: a conversation, and a ground truth whose type differs by domain.

Columns `data_source`, `prompt` (a list of messages), `reward_model` with `ground_truth`, `extra_info`. Ground truths are
strings, JSON strings, mappings, lists or numbers; each becomes what the task's own grader wants. What cannot be graded
without a hole is refused: free-form science, which needs a judge, and code whose tests are no plain assertions.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from engines.suite.item import Item, make_item
from engines.suite.logic_tasks import parsed_value
from engines.suite.python_source import parse

Made = tuple[Any, dict[str, Any]]
"""Gold, and what else the grader needs."""

_OPTION = re.compile(r"(?m)^\s*\(?([A-J])[):.]\s*(.+)$")


def is_guru_row(row: Mapping[str, Any]) -> bool:
    """Whether a row has verl's columns."""
    return isinstance(row.get("reward_model"), Mapping) and "prompt" in row


def guru_item(task: str, row: Mapping[str, Any]) -> Item:
    """The item of a row for the grader of `task`. Raises ValueError or KeyError where it is none."""
    truth = row["reward_model"]["ground_truth"]
    if truth is None or truth == "":
        raise ValueError("the ground truth is empty")
    prompt = _said_by_user(row["prompt"])
    gold, extra = _CONVERT[task](truth, prompt, row)
    return make_item(task, prompt, gold, extra)


def _said_by_user(messages: Any) -> str:
    """The last message of the user; a system message is the recipe's business."""
    if isinstance(messages, str):
        return messages
    said = [message["content"] for message in messages if message["role"] == "user"]
    if not said:
        raise ValueError("the prompt has no message of the user")
    return str(said[-1])


def _text(truth: Any, _prompt: str, _row: Mapping[str, Any]) -> Made:
    return str(truth).strip(), {}


def _letter(truth: Any, prompt: str, _row: Mapping[str, Any]) -> Made:
    options = {letter: words.strip() for letter, words in _OPTION.findall(prompt)}
    letters = ascii_uppercase[: len(options)]
    if str(truth).strip() not in options or "".join(sorted(options)) != letters:
        raise ValueError(f"the prompt shows no option {truth!r}")
    return str(truth).strip(), {"options": [options[letter] for letter in letters]}


def _structure(truth: Any) -> Any:
    value = parsed_value(truth) if isinstance(truth, str) else truth
    return value.tolist() if hasattr(value, "tolist") else value


def _grid(truth: Any, _prompt: str, _row: Mapping[str, Any]) -> Made:
    grid = [list(map(int, line)) for line in _structure(truth)]
    if not grid:
        raise ValueError("the grid is empty")
    return grid, {}


def _table(truth: Any, _prompt: str, _row: Mapping[str, Any]) -> Made:
    found = _structure(truth)
    return {"header": list(found["header"]), "rows": [list(map(str, line)) for line in found["rows"]]}, {}


def _names(truth: Any, _prompt: str, _row: Mapping[str, Any]) -> Made:
    names = _structure(truth)
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        raise ValueError("the ground truth is no list of names")
    return list(names), {}


def _values(truth: Any, _prompt: str, _row: Mapping[str, Any]) -> Made:
    return [part.strip() for part in str(truth).split("|")], {}


def _code(truth: Any, _prompt: str, row: Mapping[str, Any]) -> Made:
    """Programs with inputs and outputs, or a list of assertions on literals, which need no solution to be put."""
    tests = _structure(truth)
    if not isinstance(tests, Mapping):
        raise ValueError("the ground truth is no object of tests")
    if "inputs" in tests and "outputs" in tests:
        return {"outputs": list(tests["outputs"]), "solution": ""}, {"inputs": list(tests["inputs"])}
    raise ValueError(
        f"tests of the kind {', '.join(tests)}; programs with `inputs` and `outputs` can be graded"
    )


def _assertions(truth: Any, prompt: str, row: Mapping[str, Any]) -> Made:
    tests = _structure(truth)
    source = tests.get("functional", "") if isinstance(tests, Mapping) else ""
    lines = [line.strip() for line in source.splitlines() if line.strip().startswith("assert ")]
    calls = [node for line in lines for node in ast.walk(parse(line)) if isinstance(node, ast.Call)]
    names = [call.func.id for call in calls if isinstance(call.func, ast.Name)]
    if not lines or not names or "candidate" in names:
        raise ValueError(
            "tests that are no plain assertions; they cannot be put without the benchmark's solution"
        )
    return {"solution": "", "tests": lines, "setup": ""}, {"entry": names[0]}


def _codeio(truth: Any, _prompt: str, row: Mapping[str, Any]) -> Made:
    found = _structure(truth)
    if not isinstance(found, Mapping) or "output" not in found:
        raise ValueError("only predictions of an output can be graded without the reference code")
    return found["output"], {"asked": "output"}


_CONVERT: dict[str, Callable[[Any, str, Mapping[str, Any]], Made]] = {
    **dict.fromkeys(("aime", "math500", "amc"), _text),
    **dict.fromkeys(("gpqa_diamond", "supergpqa"), _letter),
    **dict.fromkeys(("finqa", "hitab", "multihier"), _values),
    "arcagi1": _grid,
    "zebra": _table,
    "ordering": _names,
    "livecodebench": _code,
    "mbpp": _assertions,
    "codeio": _codeio,
}


def readable_tasks() -> list[str]:
    """Tasks whose rows can be read from verl's form."""
    return sorted(_CONVERT)
