r"""Are two mathematical answers the same? Numbers and texts here, exactly; LaTeX by math-verify in a process of its own.

math-verify hands text of a model to a computer algebra system, which may compute for hours on it. So it works in a spawned
process with a deadline on this side; one that overruns is killed and replaced. An answer that cannot be compared in time
is not equal: else a model could hide its mistakes behind towers of powers.
"""

import re
from fractions import Fraction
from multiprocessing.connection import Connection

from engines.suite.deadline import Pool

DEADLINE = 5.0
"""Seconds for one comparison."""
LONGEST = 500
"""Characters of an answer that is compared at all."""

_UNITS = re.compile(
    r"\\?(?:text|mbox|mathrm|textbf)\{\s*([^{}]*)\}|\\(?:!|,|;|:|quad|qquad|left|right)(?![a-zA-Z])|\\(?:left|right)"
)
_BETWEEN = re.compile(r"(?<=\d)(?:\s|\\[,;:! ]|\\q?quad)+(?=\d)(?!\d{3}(?!\d))")
"""Space between two numbers, which it keeps apart; not between thousands."""
_DROPPED = re.compile(r"[\s$]|\\\$|\\%|%|\^\\circ|\^\{\\circ\}|\\degree")
_SHORT_FRAC = re.compile(r"\\frac(\d)(\d)(?!\d)")
_FRAC = re.compile(r"([-+]?)\\frac\{(-?\d+)\}\{(-?\d+)\}")
_PLAIN = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:/\d+)?")
_CHOICE = re.compile(r"(?i)\bor\b|\\lor\b|\\vee\b")


def normalised(text: str) -> str:
    """LaTeX without what does not change its meaning: spaces, delimiters' sizes, kinds of fractions, thousands commas."""
    text = text.strip().rstrip(".").replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = _BETWEEN.sub(";", text)
    text = _UNITS.sub(lambda match: match[1] or "", text)
    text = _DROPPED.sub("", text)
    text = _SHORT_FRAC.sub(r"\\frac{\1}{\2}", text)
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)


def equal(answer: str, gold: str) -> bool:
    """Is `answer` the same mathematical object as `gold`? Never raises for what a model wrote."""
    if not answer.strip() or len(answer) > LONGEST:
        return False
    ours, theirs = normalised(answer), normalised(gold)
    if ours == theirs:
        return True
    left, right = _number(ours), _number(theirs)
    if left is not None and right is not None:
        return left == right
    if _hedges(answer) and not _hedges(gold):
        return False
    return _symbolically(answer, gold)


def _hedges(text: str) -> bool:
    """Several answers to choose from are none."""
    return bool(_CHOICE.search(re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)))


def _number(text: str) -> Fraction | None:
    """The number that the whole text is."""
    if match := _FRAC.fullmatch(text):
        above, below = int(match[2]), int(match[3])
        return Fraction(-above if match[1] == "-" else above, below) if below else None
    if not _PLAIN.fullmatch(text):
        return None
    above_text, _, below_text = text.partition("/")
    below = int(below_text or 1)
    return Fraction(above_text) / below if below else None


def _serve(pipe: Connection) -> None:
    """The other process: compares pairs until its pipe closes."""
    import logging

    from math_verify import parse, verify

    logging.disable(logging.CRITICAL)  # it warns that its own timeouts are off: they need signals

    def value(text: str) -> object:
        return parse(f"\\boxed{{{text}}}", parsing_timeout=None, raise_on_error=False)

    pipe.send("ready")
    while True:
        try:
            gold, answer = pipe.recv()
        except EOFError:
            return
        try:
            same = bool(verify(value(gold), value(answer), timeout_seconds=None, raise_on_error=False))
        except Exception:  # the library's parser and sympy raise whatever they like on odd text
            same = False
        pipe.send(same)


_POOL = Pool(_serve, "compares mathematical answers")


def _symbolically(answer: str, gold: str) -> bool:
    return bool(_POOL.ask((gold, answer), DEADLINE))
