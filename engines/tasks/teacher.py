r"""Solutions that a reasoning model has written, from its raw replies to examples that can be trained on.

A file of them has rows {"question", "answer", "ground_truth", "deepseek_response"}, as those that Step-JEPA is trained on
(DeepSeek-R1-Distill, asked for steps with blank lines between and a \boxed{} answer). A reply is kept where its answer is
the ground truth. What it thought before the solution, the box and the part that only repeats the answer are taken out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engines.tasks.answers import BOXED, boxed, equal, parse_number

RESPONSE = "deepseek_response"
"""The key by which such a row is known."""

Fault = Literal["never finished thinking", "without a boxed number", "wrong", "without working out"]
"""Why a reply is not kept."""

_THINK_START, _THINK_END = "<think>", "</think>"
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_FINAL_ANSWER = re.compile(
    r"^[ \t]*(?:[#>*_-]+[ \t]*)*(?:the[ \t]+)?final[ \t]+answer\b", re.IGNORECASE | re.MULTILINE
)
_ONLY_SAYS_ANSWER = re.compile(
    r"[\W_]*(?:(?:so|thus|therefore|hence)\b[\W_]*)?(?:the[\W_]+)?(?:answer\b[\W_]*)?(?:is\b[\W_]*)?",
    re.IGNORECASE,
)
"""What is left of `**Answer:** $\\boxed{72}$` without the box."""


@dataclass(frozen=True)
class Solution:
    """A right reply: steps with one blank line between, and the gold answer as a plain number."""

    reasoning: str
    answer: str


def solution_of(row: Mapping[str, Any]) -> Solution | Fault:
    """The solution in a row, or why there is none that can be used.

    Raises KeyError or TypeError for a row without the texts, ValueError where the ground truth is not a number.
    """
    gold = str(row["ground_truth"] if "ground_truth" in row else row["answer"].rpartition("####")[2])
    gold = gold.strip().replace(",", "")
    target = parse_number(gold)
    if target is None:
        raise ValueError(f"the ground truth {gold!r} is not a number")
    text = solution_part(row[RESPONSE])
    if text is None:
        return "never finished thinking"
    found = next(boxed(text), None)
    value = parse_number(text[slice(*found)]) if found else None
    if value is None:
        return "without a boxed number"
    if not equal(value, target):
        return "wrong"
    reasoning = working_out(text)
    return Solution(reasoning, gold) if reasoning else "without working out"


def solution_part(reply: str) -> str | None:
    """What stands behind the thinking; None where that was cut off. Some chat templates open it, so the tag may be missing."""
    _thought, ended, after = reply.rpartition(_THINK_END)
    if not ended and _THINK_START in reply:
        return None
    return after.replace("\r\n", "\n").strip()


def working_out(solution: str) -> str:
    """The steps with one blank line between, without boxes and without a part that only repeats the answer."""
    paragraphs = _BLANK_LINES.split(solution[: final_answer(solution)].strip())
    while paragraphs and _only_says_answer(paragraphs[-1]):
        paragraphs.pop()
    return "\n\n".join(_unboxed(paragraph).strip() for paragraph in paragraphs if paragraph.strip())


def final_answer(text: str) -> int:
    """Where the part that announces the final answer begins; the length of the text where there is none."""
    match = _FINAL_ANSWER.search(text)
    return match.start() if match else len(text)


def _only_says_answer(paragraph: str) -> bool:
    last = next(boxed(paragraph), None)
    return last is not None and _ONLY_SAYS_ANSWER.fullmatch(_with_box(paragraph, last, "")) is not None


def _unboxed(text: str) -> str:
    """Every box replaced by what is in it, the last first, so that places further in front stay right."""
    while last := next(boxed(text), None):
        text = _with_box(text, last, text[slice(*last)])
    return text


def _with_box(text: str, inside: tuple[int, int], replacement: str) -> str:
    """The text with a box, given by what is inside of it, replaced."""
    start, end = inside
    return text[: start - len(BOXED)] + replacement + text[end + 1 :]
