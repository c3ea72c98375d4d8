"""Is the arithmetic in a solution right? Every `12 + 30 = 42` in it, checked exactly.

A statement is checked where both sides can be read as numbers and signs; words, unknowns and units make a side
unreadable, and it is passed over rather than guessed at. Text is untrusted: the evaluator knows nothing but numbers and
five signs, and gives up on what is long or large.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from engines.tasks.numbers import plain

LONGEST_RUN = 300
"""Characters of signs and figures in a row; what is longer is not checked."""
LONGEST_NUMBER = 30
LARGEST_EXPONENT = 64
LARGEST_BASE = 10**6

_RUN = re.compile(r"[-+*/^().,$€£%=0-9 \t]*=[-+*/^().,$€£%=0-9 \t]*")
_TIMES = re.compile(r"(?<=[0-9)])[ \t]*[xX·][ \t]*(?=[0-9($])")
_BELONGS_BEFORE = re.compile(r"(?:\w|[0-9]:)[0-9.(]$")  # x2, 12:30, f(2)
_UNKNOWN_BEFORE = re.compile(r"(?<![A-Za-z])[A-Za-z]\s*$")  # n + 2, boxes x 2
_BELONGS_BEHIND = re.compile(r"[0-9)](?:\w)|\s?and \(?\$?[0-9]+ ?/ ?[0-9]")  # 3x; 4/3 = 1 and 1/3
_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)(?P<percent>[ \t]*%)?"
    r"|(?P<sign>[-+*/^])|(?P<bracket>[()])|[ \t$€£]+|(?P<other>.)"
)


@dataclass(frozen=True)
class Step:
    """One statement that could be checked."""

    text: str
    """Without spaces: `12+30=42`."""
    holds: bool


def steps_in(text: str) -> list[Step]:
    """The statements of a text, in order. One side at least holds a sign: `x = 5` and `5 = 5` state no step."""
    return [step for line in plain(text).replace("÷", "/").split("\n") for step in _steps_of_line(line)]


def evaluate(expression: str) -> Fraction | None:
    """The value of an expression of numbers, `+ - * / **` and brackets; None for anything else or out of bounds."""
    if len(expression) > LONGEST_RUN:
        return None
    try:
        return _value(ast.parse(expression, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number):
            return Fraction(str(number))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            return -_value(operand) if isinstance(sign, ast.USub) else _value(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=sign, right=right):
            return _combined(_value(left), sign, _value(right))
    raise ValueError("not arithmetic")


def _combined(left: Fraction, sign: ast.operator, right: Fraction) -> Fraction:
    match sign:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
    raise ValueError("not arithmetic")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > LARGEST_EXPONENT or abs(base) > LARGEST_BASE:
        raise ValueError("out of bounds")
    return base ** int(exponent)


@dataclass(frozen=True)
class _Token:
    kind: str
    """`number`, `sign`, `bracket`, or `other` for what ends an expression."""
    text: str
    percent: bool = False


_OTHER = _Token("other", "")


@dataclass(frozen=True)
class _Side:
    """A readable expression."""

    text: str
    value: Fraction
    has_sign: bool
    percent: bool
    decimals: int
    """Places after the point of its only number; 0 for whole numbers and sums."""


def _steps_of_line(line: str) -> Iterator[Step]:
    line = _TIMES.sub("*", line)
    for run in _RUN.finditer(line):
        if len(run[0]) > LONGEST_RUN:
            continue
        parts = [_tokens(part) for part in run[0].split("=")]
        before, after = line[: run.start()], line[run.end() :]
        if _BELONGS_BEFORE.search(before + run[0][0]) or _UNKNOWN_BEFORE.search(before):
            parts[0] = []
        elif before.strip():
            parts[0] = [_OTHER, *parts[0]]
        if _BELONGS_BEHIND.match(run[0][-1] + after):
            parts[-1] = []
        for left, right in pairwise(parts):
            yield from _step(_left_sides(left), _right_sides(right))


def _step(lefts: list[_Side], rights: list[_Side]) -> Iterator[Step]:
    if not lefts or not rights or not (lefts[0].has_sign or rights[0].has_sign):
        return
    pairs = [(left, right) for left in lefts for right in rights]
    equal = next((pair for pair in pairs if _equal(*pair)), None)
    left, right = equal or pairs[0]
    yield Step(f"{left.text}={right.text}", equal is not None)


def _tokens(part: str) -> list[_Token]:
    found = []
    for match in _TOKEN.finditer(part):
        if match["number"]:
            found.append(_Token("number", match["number"].replace(",", ""), match["percent"] is not None))
        elif match.lastgroup is not None:
            found.append(_Token(match.lastgroup, match[0]))
    return found


def _left_sides(tokens: list[_Token]) -> list[_Side]:
    """What the readable end of the text before a `=` can mean; nothing where it cannot be told where it begins."""
    start = next((index + 1 for index in reversed(range(len(tokens))) if tokens[index].kind == "other"), 0)
    after_words, tokens = start > 0, tokens[start:]
    depth = 0
    for index in reversed(range(len(tokens))):  # an opening bracket without its closing one begins the side
        depth += {")": 1, "(": -1}.get(tokens[index].text, 0)
        if depth < 0:
            if index and tokens[index - 1].kind in ("number", "sign"):
                return []
            after_words, tokens = True, tokens[index + 1 :]
            break
    if not tokens or any(_apart(*pair) for pair in pairwise(tokens)):
        return []
    readings = [_side(tokens)]
    if tokens[0].kind == "sign":
        if after_words:
            return []  # `apples - 3 = 4`: what is subtracted from is not known
        readings.append(_side(tokens[1:]))  # a bullet in a list
    sides = [side for side in readings if side is not None]
    return [side for side in sides if side.has_sign or not after_words]  # `week 2 = 35 + 35` names the week


def _right_sides(tokens: list[_Token]) -> list[_Side]:
    """The readable beginning of the text behind a `=`, and its first number alone."""
    end = next((index for index, token in enumerate(tokens) if token.kind == "other"), len(tokens))
    tokens = tokens[:end]
    depth = 0
    for index, token in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0:
            tokens = tokens[:index]
            break
    # `= 16 + x` goes on with something unknown, and `= 3 000` is one number.
    if not tokens or tokens[-1].kind == "sign" or any(_apart(*pair) for pair in pairwise(tokens)):
        return []
    first = next((index for index, token in enumerate(tokens) if token.kind == "number"), -1)
    sides = [_side(tokens), _side(tokens[: first + 1])]
    return [side for side in sides if side is not None]


def _apart(token: _Token, following: _Token) -> bool:
    """Two numbers, or number and bracket, without a sign between: `2(3 + 4)`, `2 1/2`, `80 000`."""
    ends = token.kind == "number" or token.text == ")"
    return ends and (following.kind == "number" or following.text == "(")


def _side(tokens: list[_Token]) -> _Side | None:
    numbers = [token for token in tokens if token.kind == "number"]
    value = evaluate("".join(_python(token) for token in tokens)) if numbers else None
    divided_twice = re.search(
        r"/\d[\d.]*/", "".join(token.text for token in tokens)
    )  # 28 / 1/5 is 140 to people
    if value is None or divided_twice or any(len(number.text) > LONGEST_NUMBER for number in numbers):
        return None
    has_sign = any(token.kind == "sign" for token in tokens[1:])
    decimals = len(numbers[0].text.partition(".")[2]) if len(numbers) == 1 else 0
    shown = "".join(token.text + "%" * token.percent for token in tokens)
    return _Side(shown, value, has_sign, any(number.percent for number in numbers), decimals)


def _python(token: _Token) -> str:
    if token.kind != "number":
        return "**" if token.text == "^" else token.text
    whole, point, rest = token.text.partition(".")
    text = (whole.lstrip("0") or "0") + point + rest
    return f"({text}/100)" if token.percent else text


def _equal(left: _Side, right: _Side) -> bool:
    """Equal as far as it is written out: 10/3 = 3.33 and 2/3 = 0.66 hold. `15/60*100 = 25%` does too."""
    for scale in (1, 100) if left.percent or right.percent else (1,):
        for a, b in ((left.value * scale, right.value), (left.value, right.value * scale)):
            unit = Fraction(1, 10**right.decimals) * (Fraction(1, 100) if right.percent else 1)
            rounded = right.decimals > 0 and abs(a - b) <= unit / 2
            cut_off = right.decimals > 0 and 0 <= abs(a) - abs(b) < unit and a * b >= 0
            if a == b or rounded or cut_off:
                return True
    return False
