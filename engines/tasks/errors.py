"""What kind of mistake a wrong answer is, told from its sums and those of the worked solution.

    truncated        cut off before it ended
    no_answer        ended without a number that could be the answer
    off_by_scale     the right digits, a power of ten off
    arithmetic_slip  some sum does not come to what stands behind its equals sign
    extra_step       had the right number, and went on with it to another
    format_only      the right number stands there, but not where an answer is looked for
    early_stop       every sum right and as in the solution, and then no more
    wrong_operand    every sum right, but not the sums of the solution
    other            no sums to tell it from

The first that holds is taken, in this order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from engines.tasks.answers import equal, parse_number
from engines.tasks.numbers import numbers_in, plain
from engines.tasks.sums import Sum, sums_in

CLASSES = (
    "truncated", "no_answer", "off_by_scale", "arithmetic_slip", "extra_step", "format_only", "early_stop",
    "wrong_operand", "other",
)  # fmt: skip
_SCALES = tuple(Fraction(10) ** power for power in (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6))


@dataclass(frozen=True)
class Mistake:
    """A wrong answer, looked at closely."""

    kind: str
    """One of CLASSES."""
    first_wrong_step: int | None
    """Which of its sums first departs from the truth or from the solution, from 1; None where that cannot be told."""


def contains(completion: str, gold: str) -> bool:
    """Whether the right number stands anywhere in the text, whether or not as the answer."""
    target = parse_number(gold)
    values = (number.value for number in numbers_in(plain(completion)))
    return target is not None and any(value is not None and equal(value, target) for value in values)


def mistake(stored: Mapping[str, Any]) -> Mistake | None:
    """What went wrong in the completion of an `example` event; None for a right one. KeyError where a field is missing."""
    if stored["robust"]:
        return None
    written = sums_in(stored["completion"])
    solution = sums_in(stored["gold_reasoning"])
    return Mistake(_kind(stored, written, solution), _first_wrong(written, solution))


def _kind(stored: Mapping[str, Any], written: list[Sum], solution: list[Sum]) -> str:
    target = parse_number(stored["gold"])
    extracted = parse_number(stored["extracted"] or "")
    assert target is not None, "golds are numbers: grading has refused any other"
    if not stored["terminated"]:
        return "truncated"
    if extracted is None:
        return "no_answer"
    if extracted and target and extracted / target in _SCALES:
        return "off_by_scale"
    if not all(one.holds for one in written):
        return "arithmetic_slip"
    if any(equal(one.claimed, target) for one in written[:-1]) and equal(written[-1].claimed, extracted):
        return "extra_step"
    if contains(stored["completion"], stored["gold"]):
        return "format_only"
    if not written:
        return "other"
    if len(written) < len(solution) and _first_wrong(written, solution) is None:
        return "early_stop"
    return "wrong_operand"


def _first_wrong(written: list[Sum], solution: list[Sum]) -> int | None:
    """The first sum that is false, or whose result is none of the solution's where that has any."""
    known = {one.claimed for one in solution}
    for number, one in enumerate(written, start=1):
        if not one.holds or (known and one.claimed not in known):
            return number
    return None
