r"""The reward sets of Unsloth's GRPO notebooks and of the GSM8K study, score for score, with their defects.

legacy_unsloth_v1  Gemma 3 (1B): the opening tag is generated
legacy_unsloth_v2  Qwen3 (4B): the opening tag is prefilled
legacy_seed001     the study's: v2 without `check_numbers`, the answer stripped before it is compared

They are for comparison with older results. Known defects: a gold of "2,125" makes the right answer earn less than a
wrong one; "$18" and "18 dollars" earn the least of all; being within 10 % earns points; a format can be "exact" with
junk on other lines; more than half of the points are for the format.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from engines.prompts.spec import PromptSpec

_FLAGS = re.MULTILINE | re.DOTALL


@dataclass(frozen=True)
class LegacySet:
    """The numbers and patterns in which the sets differ."""

    exact: re.Pattern[str]
    """Finds the format; its group is the answer."""
    number: re.Pattern[str]
    """Finds a number behind the solution tag."""
    counted_tags: tuple[str, ...]
    tag_missed: float
    no_answer: float
    same: float
    strips_guess: bool
    """White space around the answer is removed before it is compared."""
    same_but_for_spaces: float
    within_10_percent: float
    within_20_percent: float
    wrong: float
    not_a_number: float
    no_number: float
    number_right: float
    number_wrong: float
    strips_commas: bool


def legacy_set(name: str, spec: PromptSpec, end: str) -> LegacySet:
    """One of the three sets, for the prompt's tags and the tokenizer's end-of-sequence text."""
    opening, closing, solution, solved = (re.escape(tag) for tag in spec.tags)
    if name == "legacy_unsloth_v1":
        return LegacySet(
            exact=re.compile(rf"^[\s]*{opening}.+?{closing}.*?{solution}(.+?){solved}[\s]*$", _FLAGS),
            number=re.compile(rf"{solution}.*?([\d\.]+)", _FLAGS),
            counted_tags=spec.tags,
            tag_missed=-0.5,
            no_answer=0.0,
            same=3.0,
            strips_guess=False,
            same_but_for_spaces=1.5,
            within_10_percent=0.5,
            within_20_percent=0.25,
            wrong=-1.0,
            not_a_number=-0.5,
            no_number=0.0,
            number_right=1.5,
            number_wrong=0.0,
            strips_commas=False,
        )
    return LegacySet(
        exact=re.compile(rf"{closing}.*?{solution}(.+?){solved}[\s]*(?:{re.escape(end)})?[\s]*$", _FLAGS),
        number=re.compile(rf"{solution}.*?[\s]*([-]?[\d\.\,]+)", _FLAGS),
        counted_tags=spec.tags[1:],
        tag_missed=-1.0,
        no_answer=-2.0,
        same=5.0,
        strips_guess=name == "legacy_seed001",
        same_but_for_spaces=3.5,
        within_10_percent=2.0,
        within_20_percent=1.5,
        wrong=-2.5,
        not_a_number=-4.5,
        no_number=-2.5,
        number_right=3.5,
        number_wrong=-1.5,
        strips_commas=True,
    )


def match_format_exactly(points: LegacySet, text: str, gold: str) -> float:
    return 3.0 if points.exact.search(text) else 0.0


def match_format_approximately(points: LegacySet, text: str, gold: str) -> float:
    return sum(0.5 if text.count(tag) == 1 else points.tag_missed for tag in points.counted_tags)


def check_answer(points: LegacySet, text: str, gold: str) -> float:
    found = points.exact.search(text)
    if found is None:
        return points.no_answer
    guess = found[1].strip() if points.strips_guess else found[1]
    if guess == gold:
        return points.same
    if guess.strip() == gold.strip():
        return points.same_but_for_spaces
    try:
        ratio = float(guess) / float(gold)
    except (ValueError, ZeroDivisionError):
        return points.not_a_number
    if 0.9 <= ratio <= 1.1:
        return points.within_10_percent
    return points.within_20_percent if 0.8 <= ratio <= 1.2 else points.wrong


def check_numbers(points: LegacySet, text: str, gold: str) -> float:
    found = points.number.search(text)
    if found is None:
        return points.no_number
    guess = found[1].replace(",", "") if points.strips_commas else found[1]
    try:
        return points.number_right if float(guess) == float(gold.strip()) else points.number_wrong
    except ValueError:
        return 0.0


_ALL: tuple[Callable[[LegacySet, str, str], float], ...] = (
    match_format_exactly,
    match_format_approximately,
    check_answer,
    check_numbers,
)
PARTS = {
    "legacy_unsloth_v1": _ALL,
    "legacy_unsloth_v2": _ALL,
    "legacy_seed001": _ALL[:-1],
}
