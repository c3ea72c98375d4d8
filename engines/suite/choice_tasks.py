r"""GPQA-diamond and SuperGPQA: one letter out of four or ten, in `\boxed{}`. No letter is no answer, never a guess."""

import random
import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.extraction import Found, boxed, phrased, tagged
from engines.suite.item import Item, SuiteGrade, SuiteTask, graded, make_item, no_answer
from engines.suite.science_made import made_science

_WRAPPED = re.compile(r"\\(?:text|mbox|mathrm|textbf|mathbf|boldsymbol)\{([^{}]*)\}")
_LETTER = re.compile(r"[\W_]*([A-Z])(?:(?=[^\w\s])|\s*$|\s+(?=\S))")
_SECOND = re.compile(r"(?:\bor\b|\band\b|[,/&|])\s*[\W_]*[A-Z](?![A-Za-z])")


def choice_prompt(question: str, options: Sequence[str]) -> str:
    """The question with its lettered options and the answer's format."""
    lines = [f"({letter}): {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    listed = "\n".join(lines)
    return f"{question.strip()}\n{listed}\nPlease output the letter of the right option within \\boxed{{}}."


def choice_item(
    task: str, question: str, options: Sequence[str], right: int, difficulty: float | None = None
) -> Item:
    """An item of options and the place of the right one. Raises ValueError where it has none."""
    if not (1 < len(options) <= len(ascii_uppercase) and 0 <= right < len(options)):
        raise ValueError(f"option {right} of {len(options)} is said to be right")
    extra = {"options": list(options)}
    return make_item(
        task, choice_prompt(question, options), ascii_uppercase[right], extra, difficulty=difficulty
    )


def grade_choice(item: Item, text: str, _sandbox: Sandbox) -> SuiteGrade:
    """Right where the box holds the letter, alone or before the option's own words; leniently behind `answer is`."""
    options: list[str] = item.details["options"]
    for found, asked in ((boxed(text), True), (tagged(text), False), (phrased(text), False)):
        letter = _letter(found, options)
        if letter is not None and found is not None:
            return graded(letter == item.answer, letter, found.method, asked_for=asked)
        if asked and found is not None and found.text:
            return no_answer(found.method, "the box holds no single letter of the options")
    return no_answer()


def _letter(found: Found | None, options: Sequence[str]) -> str | None:
    if found is None:
        return None
    text = _WRAPPED.sub(r"\1", found.text).strip()
    match = _LETTER.match(text)
    if match is None or match[1] not in ascii_uppercase[: len(options)]:
        return None
    rest = text[match.end(1) :].strip()
    if _SECOND.match(rest.lstrip(").]:*} ")) or _SECOND.match(rest):
        return None
    # "A dog" is an article and a noun, "A. a dog" and "A a dog" (where that is option A) are an answer.
    own_words = options[ascii_uppercase.index(match[1])].strip().casefold()
    if rest and rest[0].isalnum() and not rest.casefold().startswith(own_words):
        return None
    return match[1]


def gold_letter(item: Item) -> str:
    """A completion with the right letter."""
    return f"That leaves one option. \\boxed{{{item.answer}}}"


def _parse_gpqa(row: Mapping[str, Any]) -> Item:
    """Rows of Idavidrein/gpqa; options are shuffled by the question itself, the same on every machine."""
    right = str(row["Correct Answer"]).strip()
    wrong = [str(row[f"Incorrect Answer {number}"]).strip() for number in (1, 2, 3)]
    options = [right, *wrong]
    random.Random(str(row["Question"])).shuffle(options)
    return choice_item("gpqa_diamond", str(row["Question"]), options, options.index(right))


def _parse_supergpqa(row: Mapping[str, Any]) -> Item:
    """Rows of m-a-p/SuperGPQA (`options`, `answer_letter`), or of MMLU (`choices`, the right one's place in `answer`)."""
    if "choices" in row:
        return choice_item(
            "supergpqa", str(row["question"]), list(map(str, row["choices"])), int(row["answer"])
        )
    right = ascii_uppercase.index(str(row["answer_letter"]).strip())
    return choice_item("supergpqa", str(row["question"]), list(map(str, row["options"])), right)


def _made_gpqa(seed: int, difficulty: int) -> Item:
    question, options, right = made_science(f"gpqa {seed}", difficulty, 4)
    return choice_item("gpqa_diamond", question, options, right, difficulty)


def _made_supergpqa(seed: int, difficulty: int) -> Item:
    question, options, right = made_science(f"supergpqa {seed}", difficulty, 10)
    return choice_item("supergpqa", question, options, right, difficulty)


TASKS = (
    SuiteTask(
        "gpqa_diamond", "science", "Idavidrein/gpqa", _parse_gpqa, _made_gpqa, gold_letter, grade_choice,
        samples=4, hub_config="gpqa_diamond", hub_split="train",
    ),
    SuiteTask(
        "supergpqa", "science", "m-a-p/SuperGPQA", _parse_supergpqa, _made_supergpqa, gold_letter, grade_choice,
        hub_split="train",
    ),
)  # fmt: skip
