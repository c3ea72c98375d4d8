"""Sums in a text, such as `48/2 = 24` or `$3 x 4 + 5 = $17`: found, and worked out again exactly."""

import re
from dataclasses import dataclass
from fractions import Fraction

from engines.tasks.numbers import plain

_NUMBER = r"\d[\d,]*(?:\.\d+)?|\.\d+"
_TERM = rf"[(\s]*[$€£]?\s*(?:{_NUMBER})\s*%?[)\s]*"
_SUM = re.compile(
    rf"(?<![\w.,/])(?P<left>[-(\s]*{_TERM}(?:(?:[-+*/x×÷]|\bof\b){_TERM})+)=\s*(?P<sign>-?)\s*[$€£]?\s*(?P<right>{_NUMBER})"
    r"(?P<below>/\d+)?(?P<percent>%?)"
)
_CUT = re.compile(r"[-+*/x×÷%]\s*$")
_TOKEN = re.compile(rf"{_NUMBER}|[-+*/()%]")
_SIGNS = str.maketrans({"x": "*", "×": "*", "÷": "/", "$": " ", "€": " ", "£": " "})
_LONGEST = 200
"""Characters of the longest sum: text is untrusted."""


@dataclass(frozen=True)
class Sum:
    """One sum as it was written."""

    text: str
    operands: tuple[Fraction, ...]
    claimed: Fraction
    """What stands behind the equals sign."""
    holds: bool
    """The left side comes to that, or to a number that is written so with these decimals."""


def sums_in(text: str) -> list[Sum]:
    """All sums in order. What is not plain arithmetic is passed over."""
    text = plain(text)
    # `60 books * 2/3 = 40`: behind an operator a sum has lost its beginning to a word.
    whole = (
        match
        for match in _SUM.finditer(text)
        if not _CUT.search(text, max(0, match.start() - 8), match.start())
    )
    return [found for match in whole if (found := _read(match)) is not None]


def _read(match: re.Match[str]) -> Sum | None:
    left = match["left"].replace("of", "*").translate(_SIGNS)
    tokens = _TOKEN.findall(left)
    right = match["right"].replace(",", "")
    if len(match[0]) > _LONGEST or len(right) > 40:
        return None
    try:
        value = _Reader(tokens).whole()
    except (ValueError, ZeroDivisionError):
        return None
    below = int((match["below"] or "/1")[1:])
    if below == 0:
        return None
    claimed = Fraction(right) / below * (-1 if match["sign"] else 1) / (100 if match["percent"] else 1)
    decimals = len(right.partition(".")[2]) + (2 if match["percent"] else 0)
    # Thirds are written 0.33, but 7/2 is not 3: only what has decimals may have been rounded.
    slack = Fraction(1, 2 * 10**decimals) if decimals else Fraction(0)
    operands = tuple(Fraction(token.replace(",", "")) for token in tokens if token[0] in ".0123456789")
    # `100% - 80% = 20` and `1 / 4 * 100 = 25%` count in hundredths on one side only.
    scales = [Fraction(1), Fraction(100), Fraction(1, 100)] if "%" in match[0] else [Fraction(1)]
    holds = any(abs(value * scale - claimed) <= slack * max(scale, Fraction(1)) for scale in scales)
    return Sum(match[0].strip(), operands, claimed, holds)


class _Reader:
    """Recursive descent over the tokens of a left side: sums of products of signed numbers and brackets."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def whole(self) -> Fraction:
        value = self._sum()
        if self._place < len(self._tokens):
            raise ValueError("a token is left over")
        return value

    def _next(self, among: str) -> str | None:
        if self._place < len(self._tokens) and self._tokens[self._place] in among:
            self._place += 1
            return self._tokens[self._place - 1]
        return None

    def _sum(self) -> Fraction:
        value = self._product()
        while (sign := self._next("+-")) is not None:
            value = value + self._product() if sign == "+" else value - self._product()
        return value

    def _product(self) -> Fraction:
        value = self._number()
        while (sign := self._next("*/")) is not None:
            value = value * self._number() if sign == "*" else value / self._number()
        return value

    def _number(self) -> Fraction:
        if self._next("-"):
            return -self._number()
        if self._next("("):
            value = self._sum()
            if not self._next(")"):
                raise ValueError("a bracket is not closed")
        elif self._place < len(self._tokens) and self._tokens[self._place][0] in ".0123456789":
            value = Fraction(self._tokens[self._place].replace(",", ""))
            self._place += 1
        else:
            raise ValueError("a number is missing")
        return value / 100 if self._next("%") else value
