"""Is a completion right? Five graders side by side, so that format and correctness can be told apart.

strict            the answer stands where it was asked for: one closed pair of solution tags, and the model stopped
robust            the answer stands anywhere that it can be found without guessing
openai_strict     the first `#### 72`, compared as text, as in OpenAI's GSM8K code
lm_eval_flexible  the last thing that looks like a number, compared as text, as lm-evaluation-harness does
tpt_strict        the first `####` with a number behind it, compared as text, commas and all, as Think-Prune-Train does
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.tasks.answers import Answer, equal, extract, parse_number

GRADERS = ("strict", "robust", "openai_strict", "lm_eval_flexible", "tpt_strict")
VERSION = 1
"""Raised with every change that can alter a grade: scores of different versions are not comparable."""

_OPENAI = re.compile(r"#### (\-?[0-9\.\,]+)")
_TPT = re.compile(r"####\s*(-?[\d.,]+)")
_FLEXIBLE = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
_FLEXIBLE_IGNORED = (re.compile(r","), re.compile(r"\$"), re.compile(r"(?s).*#### "), re.compile(r"\.$"))


@dataclass(frozen=True)
class Grade:
    """The verdict on one completion."""

    strict: bool
    robust: bool
    openai_strict: bool
    lm_eval_flexible: bool
    tpt_strict: bool
    method: str
    """Where the answer was found; see `engines.tasks.answers`."""
    ambiguous: bool
    extracted: str | None
    """The number that was found, or the text in its place that is not one number."""
    thinking: str | None
    """The working out between its tags, where there is any."""
    has_answer: bool
    """The solution tags hold a number."""
    repeated_tag: bool


def grade(text: str, gold: str, spec: PromptSpec, terminated: bool) -> Grade:
    """Grade `text`, which is prefill and generation together."""
    target = parse_number(gold)
    if target is None:
        raise RecipeError(f"the gold answer {gold!r} is not a number", hint="check the task's data")
    answer = extract(text, spec)
    correct = answer.value is not None and equal(answer.value, target)
    one_pair = answer.n_solution_tags == 1 and text.count(spec.solution_end) == 1
    return Grade(
        strict=correct and answer.method == "solution" and one_pair and terminated,
        robust=correct,
        openai_strict=_openai_strict(text, gold),
        lm_eval_flexible=_lm_eval_flexible(text, gold),
        tpt_strict=_tpt_strict(text, gold),
        method=answer.method,
        ambiguous=answer.ambiguous,
        extracted=_shown(answer),
        thinking=_thinking(text, spec),
        has_answer=answer.method in ("solution", "solution_open") and answer.value is not None,
        repeated_tag=any(text.count(tag) > 1 for tag in spec.tags),
    )


def _shown(answer: Answer) -> str | None:
    if answer.value is None:
        return answer.raw if answer.method != "none" else None
    return _as_text(answer.value)


def _as_text(value: Fraction) -> str:
    """72, 18.5 or 1/3: equal numbers become the same text."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return str(value) if rest != 1 or value.denominator == 1 else f"{float(value):.12g}"


def _thinking(text: str, spec: PromptSpec) -> str | None:
    _, opened, rest = text.partition(spec.reasoning_start)
    thought, closed, _ = rest.partition(spec.reasoning_end)
    return (thought.strip() or None) if opened and closed else None


def _openai_strict(text: str, gold: str) -> bool:
    match = _OPENAI.search(text)
    return match is not None and match[1].strip().replace(",", "") == gold


def _tpt_strict(text: str, gold: str) -> bool:
    match = _TPT.search(text)
    return match is not None and match[1] == gold


def _lm_eval_flexible(text: str, gold: str) -> bool:
    matches = _FLEXIBLE.findall(text)
    if not matches:
        return False
    predicted = next(group for group in matches[-1] if group).strip()
    for ignored in _FLEXIBLE_IGNORED:
        predicted, gold = ignored.sub("", predicted), ignored.sub("", gold)
    return bool(predicted.lower() == gold.lower())
