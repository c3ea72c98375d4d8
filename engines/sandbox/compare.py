"""Is a returned value the expected one? Asked in the parent, of plain data on both sides."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

_DIGITS = 1000
"""A longer token is compared as text: nobody's answer is such a number."""


@dataclass(frozen=True)
class Comparison:
    """What counts as the same. The default is Python's `==` with a tolerance for floating-point numbers."""

    exact_types: bool = False
    """`1`, `1.0` and `True` are three different answers."""
    sequences_alike: bool = False
    """A list may stand for a tuple and the other way round."""
    tolerance: float = 1e-6
    """Relative or absolute, where either side is a float."""
    multiset: bool = False
    """The outermost sequence may come in any order."""


EQUAL = Comparison()


def matches(expected: Any, value: Any, how: Comparison = EQUAL) -> bool:
    """Whether a decoded value equals the expected one. Both must be plain builtin data."""
    if how.multiset and _are_sequences(expected, value, how):
        return _same_multiset(list(expected), list(value), how)
    return _same(expected, value, how)


def same_output(expected: str, printed: str) -> bool:
    """Whether a program printed what was expected: line by line and token by token, numbers by their value.

    White space around lines and tokens, and empty lines at the ends, do not count. Integers must be exactly equal;
    numbers with a fraction or an exponent may be off by 1e-6, absolutely or relatively.
    """
    wanted, got = expected.strip().splitlines(), printed.strip().splitlines()
    return len(wanted) == len(got) and all(map(_same_line, wanted, got))


def _same(expected: Any, value: Any, how: Comparison) -> bool:
    if _is_number(expected) and _is_number(value):
        return _same_number(expected, value, how)
    if _are_sequences(expected, value, how):
        return len(expected) == len(value) and all(
            _same(a, b, how) for a, b in zip(expected, value, strict=True)
        )
    if type(expected) is not type(value) and not _are_sets(expected, value, how):
        return False
    if isinstance(expected, dict):
        return bool(expected.keys() == value.keys()) and all(
            _same(expected[key], value[key], how) for key in expected
        )
    return bool(expected == value)


def _is_number(value: Any) -> bool:
    return type(value) in (bool, int, float, complex)


def _same_number(expected: Any, value: Any, how: Comparison) -> bool:
    if how.exact_types and type(expected) is not type(value):
        return False
    if bool(expected == value):
        return True
    if not isinstance(expected, float | complex) and not isinstance(value, float | complex):
        return False
    if expected != expected or value != value:
        return bool(expected != expected and value != value)
    if expected in (float("inf"), float("-inf")):
        return False
    try:
        return bool(abs(expected - value) <= how.tolerance * max(1.0, abs(expected)))
    except OverflowError:
        return False


def _are_sequences(expected: Any, value: Any, how: Comparison) -> bool:
    kinds = {type(expected), type(value)}
    return kinds <= {list, tuple} and (len(kinds) == 1 or how.sequences_alike)


def _are_sets(expected: Any, value: Any, how: Comparison) -> bool:
    return not how.exact_types and {type(expected), type(value)} <= {set, frozenset}


def _same_multiset(expected: list[Any], value: list[Any], how: Comparison) -> bool:
    if len(expected) != len(value):
        return False
    left = list(value)
    for wanted in expected:
        found = next((index for index, got in enumerate(left) if _same(wanted, got, how)), None)
        if found is None:
            return False
        left.pop(found)
    return True


def _same_line(expected: str, printed: str) -> bool:
    wanted, got = expected.split(), printed.split()
    return len(wanted) == len(got) and all(map(_same_token, wanted, got))


def _same_token(expected: str, printed: str) -> bool:
    if expected == printed:
        return True
    pair = _decimals((expected, printed))
    if pair is None:
        return False
    wanted, got = pair
    if all(text.lstrip("+-").isdigit() for text in (expected, printed)):
        return wanted == got
    return abs(wanted - got) <= Decimal("1e-6") * max(Decimal(1), abs(wanted))


def _decimals(texts: Sequence[str]) -> tuple[Decimal, Decimal] | None:
    if any(len(text) > _DIGITS or "_" in text for text in texts):
        return None
    try:
        first, second = (Decimal(text) for text in texts)
    except InvalidOperation:
        return None
    small = all(number.is_finite() and -500 < number.adjusted() < 500 for number in (first, second))
    return (first, second) if small else None
