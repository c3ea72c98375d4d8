"""Plain Python values as JSON and back, so that nothing but data ever crosses a sandbox's wall.

JSON's own types stand for themselves; a list is a JSON array, everything else an object with one tag:
`{"tuple": [...]}`, `{"dict": [[key, value], ...]}`, `{"set": [...]}`, `{"frozenset": [...]}`, `{"bytes": "hex"}`,
`{"complex": [re, im]}`, `{"float": "nan"}`, `{"int": "0x..."}` for integers beyond 4000 digits.

Instances of subclasses (a Counter, a namedtuple, an IntEnum, an `int` that claims to equal everything) cross as the
plain value below them: what a class says about itself is asked of nobody.
"""

import json
import math
from typing import Any

_DEPTH = 64
_MEMBERS = 10_000
"""Of a set or dict that is decoded: hashes can be made to collide, and then each insertion looks at all before it."""
_SHORT_INT = 1 << 13_000


class NotPlainError(ValueError):
    """A value that is not plain data, or too large or too deep to be passed on."""


def encode(value: Any, limit: int = 1 << 20) -> str:
    """The transport form of a value, at most `limit` characters of ASCII. Raises NotPlainError."""
    try:
        text = json.dumps(_tagged(value, _DEPTH, [limit]), allow_nan=False)
    except RecursionError as error:
        raise NotPlainError("nested too deeply") from error
    if len(text) > limit:
        raise NotPlainError(f"more than {limit} bytes")
    return text


def decode(text: str) -> Any:
    """The value of a transport form, which may come from a liar. Raises NotPlainError."""
    try:
        return _plain(json.loads(text), _DEPTH)
    except NotPlainError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise NotPlainError(f"no transport form: {type(error).__name__}") from error


def _tagged(value: Any, depth: int, budget: list[int]) -> Any:
    budget[0] -= (
        2  # Each member costs at least two characters: an endless structure ends here and not in memory.
    )
    if depth == 0 or budget[0] < 0:
        raise NotPlainError("nested too deeply" if depth == 0 else "too large")
    if value is None or value is True or value is False:
        return value
    # `type`, not `isinstance`: an object may lie about its `__class__`.
    bases = type.__dict__["__mro__"].__get__(type(value))
    if int in bases:
        return _tagged_int(int.__index__(value))
    if float in bases:
        return _tagged_float(float.__add__(value, 0.0) if value.__class__ is not float else value)
    if complex in bases:
        plain = complex.__add__(value, 0j)
        return {"complex": [_tagged_float(plain.real), _tagged_float(plain.imag)]}
    if str in bases:
        return str.__str__(value) if type(value) is str else str.__add__("", value)
    if bytes in bases or bytearray in bases:
        return {"bytes": bytes(memoryview(value)).hex()}
    if list in bases:
        return [_tagged(member, depth - 1, budget) for member in list.__iter__(value)]
    if tuple in bases:
        return {"tuple": [_tagged(member, depth - 1, budget) for member in tuple.__iter__(value)]}
    if dict in bases:
        pairs = dict.items(value)
        return {
            "dict": [
                [_tagged(key, depth - 1, budget), _tagged(held, depth - 1, budget)] for key, held in pairs
            ]
        }
    if set in bases or frozenset in bases:
        name, kind = ("set", set) if set in bases else ("frozenset", frozenset)
        members = [_tagged(member, depth - 1, budget) for member in kind.__iter__(value)]
        return {name: sorted(members, key=lambda member: json.dumps(member))}
    raise NotPlainError(f"a value of type {type(value).__name__!r} is no plain data")


def _tagged_int(value: int) -> Any:
    return value if -_SHORT_INT < value < _SHORT_INT else {"int": hex(value)}


def _tagged_float(value: float) -> Any:
    return value if math.isfinite(value) else {"float": repr(value)}


def _plain(value: Any, depth: int) -> Any:
    if depth == 0:
        raise NotPlainError("nested too deeply")
    if isinstance(value, list):
        return [_plain(member, depth - 1) for member in value]
    if not isinstance(value, dict):
        return value
    ((tag, held),) = value.items()
    if tag == "tuple":
        return tuple(_plain(member, depth - 1) for member in held)
    if tag in ("set", "frozenset", "dict") and len(held) > _MEMBERS:
        raise NotPlainError(f"a {tag} of more than {_MEMBERS} members")
    if tag == "dict":
        return {_plain(key, depth - 1): _plain(member, depth - 1) for key, member in held}
    if tag in ("set", "frozenset"):
        members = [_plain(member, depth - 1) for member in held]
        return set(members) if tag == "set" else frozenset(members)
    if tag == "bytes":
        return bytes.fromhex(held)
    if tag == "complex":
        real, imaginary = (_plain(part, depth - 1) for part in held)
        return complex(float(real), float(imaginary))
    if tag == "float" and held in ("nan", "inf", "-inf"):
        return float(held)
    if tag == "int":
        return int(held, 16)
    raise NotPlainError(f"unknown tag {tag!r:.40}")
