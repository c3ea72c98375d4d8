r"""AIME, MATH-500 and AMC: one final answer in `\boxed{}`, compared as mathematics."""

import re
from collections.abc import Mapping
from typing import Any

from engines.sandbox import Sandbox
from engines.suite import math_equal
from engines.suite.extraction import asked_box_or_lenient
from engines.suite.item import Item, SuiteGrade, SuiteTask, graded, make_item, no_answer
from engines.suite.math_made import made_aime, made_amc, made_math500

SUFFIX = "Please output the final answer within \\boxed{}."
_SAID = re.compile(r"(?s).*The answer is:")


def prompt_of(question: str) -> str:
    """The question with the answer's format."""
    return f"{question.strip()} {SUFFIX}"


def grade_boxed(item: Item, text: str, _sandbox: Sandbox) -> SuiteGrade:
    """Right where the box is the gold, as mathematics; leniently also where it stands elsewhere."""
    found, asked = asked_box_or_lenient(text)
    if found is None:
        return no_answer()
    right = math_equal.equal(found.text, str(item.answer))
    return graded(right, found.text, found.method, asked_for=asked)


def gold_in_box(item: Item) -> str:
    """A completion with the gold answer."""
    return f"The final answer is \\boxed{{{item.answer}}}."


def _parse_aime(row: Mapping[str, Any]) -> Item:
    return _competition("aime", row)


def _parse_amc(row: Mapping[str, Any]) -> Item:
    return _competition("amc", row)


def _competition(task: str, row: Mapping[str, Any]) -> Item:
    """Rows with `problem` (or `question`) and a number as `answer`."""
    question, answer = row.get("problem") or row["question"], row["answer"]
    gold = f"{answer:g}" if isinstance(answer, float) else str(answer).strip()
    if not gold.lstrip("-").replace(".", "", 1).isdigit():
        raise ValueError(f"the answer {gold!r} is not a number")
    gold = (gold.lstrip("0") or "0") if gold.isdigit() else gold
    return make_item(task, prompt_of(str(question)), gold)


def _parse_math500(row: Mapping[str, Any]) -> Item:
    """Rows with `problem` and `answer`, or with `question` and a worked solution that ends in `The answer is: ...`."""
    question, answer = row.get("problem") or row["question"], str(row["answer"])
    gold = _SAID.sub("", answer).strip()
    if not gold:
        raise ValueError("the answer is empty")
    return make_item("math500", prompt_of(str(question)), gold)


TASKS = (
    SuiteTask(
        "aime", "math", "SDSB/aime_repeated_8x", _parse_aime, made_aime, gold_in_box, grade_boxed, samples=32
    ),
    SuiteTask(
        "math500", "math", "HuggingFaceH4/MATH-500", _parse_math500, made_math500, gold_in_box, grade_boxed
    ),
    SuiteTask(
        "amc", "math", "SDSB/amc_repeated_4x", _parse_amc, made_amc, gold_in_box, grade_boxed, samples=4
    ),
)  # fmt: skip
