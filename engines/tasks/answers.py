r"""Finding the answer in what a model wrote, and comparing numbers: exact, linear in the text, thread-safe.

Places are tried in order of how clearly they mark an answer, and within each the last occurrence wins:

    solution        <SOLUTION>72</SOLUTION> after the last <end_working_out>
    solution_open   <SOLUTION>72, never closed
    boxed           \boxed{72}
    hashes          #### 72
    phrase          the answer is 72
    last_number     ... 72 ...

The first two are the format that was asked for; the rest are fallbacks. A span that holds different numbers and no
`=` is ambiguous: it is wrong, not guessed at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from engines.prompts.spec import PromptSpec
from engines.tasks.numbers import Number, numbers_in, plain

Method = Literal["solution", "solution_open", "boxed", "hashes", "phrase", "last_number", "none"]

_HASHES = re.compile(r"####([^\n]*)")
_PHRASE = re.compile(r"\banswer\b[^\n.=:]{0,40}?(?:\b(?:is|was)\b|=|:)([^\n]*)", re.IGNORECASE)
_BULLET = re.compile(r"[ \t]*[-*+•][ \t]+")
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
BOXED = "\\boxed{"


@dataclass(frozen=True)
class Answer:
    """What was found: `value` is None where there is no number or more than one."""

    value: Fraction | None
    raw: str
    method: Method
    span: tuple[int, int] | None
    ambiguous: bool
    closed: bool
    """Between an opening and a closing solution tag."""
    n_solution_tags: int
    """Opening solution tags in the whole text."""
    percent: bool = False
    """A `%` follows the number; it is not divided by 100."""


def extract(text: str, spec: PromptSpec) -> Answer:
    """The answer in `text` (prefill and generation together)."""
    n_tags = text.count(spec.solution_start)
    for method, start, end in _candidates(text, spec):
        numbers = _final_numbers(text[start:end])
        if method == "last_number":
            numbers = numbers[-1:]
        # A closed solution is the model's word, even when it is not a number; elsewhere a number must stand.
        if numbers or method == "solution":
            value, ambiguous = _single_value(numbers)
            percent = value is not None and numbers[-1].percent
            raw = text[start:end].strip()
            return Answer(value, raw, method, (start, end), ambiguous, method == "solution", n_tags, percent)
    return Answer(None, "", "none", None, False, False, n_tags)


def parse_number(text: str) -> Fraction | None:
    """The one number that `text` gives, or None where there is none or it is ambiguous."""
    return _single_value(_final_numbers(text))[0]


def equal(a: Fraction, b: Fraction) -> bool:
    """Exactly, or within one part in a million: no credit for being close."""
    return a == b or abs(a - b) <= Fraction(1, 10**6) * max(Fraction(1), abs(b))


def boxed(text: str) -> Iterator[tuple[int, int]]:
    r"""What stands in each `\boxed{}` whose braces balance, as (start, end), the last first."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    for brace in re.finditer(r"[{}]", text) if BOXED in text else ():
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            closing[opened.pop()] = brace.start()
    for match in reversed(list(re.finditer(re.escape(BOXED), text))):
        if match.end() - 1 in closing:
            yield match.end(), closing[match.end() - 1]


def _single_value(numbers: list[Number]) -> tuple[Fraction | None, bool]:
    values = {number.value for number in numbers}
    ambiguous = len(values) > 1 or (None in values)
    return (None, ambiguous) if ambiguous or not values else (values.pop(), False)


def _final_numbers(span: str) -> list[Number]:
    """The numbers after the last `=` that has any behind it."""
    text = plain(span)
    numbers = numbers_in(text)
    if not numbers or "=" not in text:
        return numbers
    last_equals = text.rfind("=", 0, numbers[-1].start)
    return [number for number in numbers if number.start > last_equals]


def _candidates(text: str, spec: PromptSpec) -> Iterator[tuple[Method, int, int]]:
    after_reasoning = text.rfind(spec.reasoning_end)
    region = 0 if after_reasoning < 0 else after_reasoning + len(spec.reasoning_end)
    yield from _solution(text, spec, region)
    for start, end in boxed(text):
        yield "boxed", start, end
    for match in reversed(list(_HASHES.finditer(text))):
        yield "hashes", *match.span(1)
    for match in reversed(list(_PHRASE.finditer(text))):
        start, end = match.span(1)
        sentence = _SENTENCE_END.search(text, start, end)
        yield "phrase", start, sentence.start() if sentence else end
    yield from _last_number(text)


def _solution(text: str, spec: PromptSpec, region: int) -> Iterator[tuple[Method, int, int]]:
    close = text.rfind(spec.solution_end, region)
    if close >= 0:
        start = text.rfind(spec.solution_start, region, close)
        if start >= 0:
            # With `<SOLUTION>1</SOLUTION></SOLUTION>` the first closing tag ends the span.
            start += len(spec.solution_start)
            yield "solution", start, text.find(spec.solution_end, start)
    open_tag = text.rfind(spec.solution_start, region)
    if open_tag >= 0 and text.find(spec.solution_end, open_tag) < 0:
        start = open_tag + len(spec.solution_start)
        first = start + len(text[start:]) - len(text[start:].lstrip())
        line_end = text.find("\n", first)
        yield "solution_open", start, line_end if line_end >= 0 else len(text)


def _last_number(text: str) -> Iterator[tuple[Method, int, int]]:
    """The lines from the bottom up: the first that holds a number."""
    end = len(text)
    while end > 0:
        start = text.rfind("\n", 0, end) + 1
        bullet = _BULLET.match(text, start, end)  # in a list, "- 5 apples" is not minus five
        yield "last_number", bullet.end() if bullet else start, end
        end = start - 1
