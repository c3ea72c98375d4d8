"""The words by which people pick jobs out of a queue: in the cockpit's filter line and after `tunedeck jobs --filter`.

    sft !eval                     found in experiment, job, engine or status; `!` leaves out; words are joined by AND
    status:failed,lost            also waiting, active, ended and held; the beginning of a word is enough
    name:full exp:sweep engine:sft group:big reason:memory       holds the text; `=` in place of `:` is exactly that
    /seed=[12]$/ name:/^full/     regular expressions, without regard to case
    acc>0.5 acc>=50% loss<1 priority:1 gpus>0 attempt>1 done<50% id:3-9,12
    age<2h took>30m               since it was submitted; how long it has run
    (acc>0.6 OR loss<0.2) NOT "two words"

Text becomes the tree of `store/filter_tree.py`; errors say what is wrong and what is allowed.
"""

import difflib
import re
from collections.abc import Callable

from store.filter_tree import (
    EVERYTHING,
    Between,
    Both,
    Either,
    FilterError,
    Node,
    Not,
    Pattern,
    States,
    Text,
    Word,
)
from store.patterns import PatternError, compiled
from store.schema import ACTIVE, FINAL, WAITING, Status

TEXTS = {"name": "name", "exp": "experiment", "experiment": "experiment", "engine": "engine", "group": "group", "reason": "reason"}  # fmt: skip
NUMBERS = {
    "id": "id", "acc": "accuracy", "accuracy": "accuracy", "loss": "loss", "priority": "priority", "gpus": "gpus",
    "attempt": "attempt", "done": "done",
}  # fmt: skip
SPANS = {"age": "age", "took": "took"}
STATES: dict[str, tuple[Status, ...]] = {
    **{status.value: (status,) for status in Status},
    "waiting": WAITING,
    "active": ACTIVE,
    "done": (Status.SUCCEEDED,),
    "ended": FINAL,
}
FIELDS = ("status", *TEXTS, *NUMBERS, *SPANS)
MOST_DEPTH = 20


_BARE = r'[^\s()"]+'
_TOKEN = re.compile(
    rf"""
    (?P<open>!?\() | (?P<close>\)) |
    (?P<pattern>!?(?:[a-z]+[:=])?/(?:\\.|[^/\\])*(?:/|\\?$)) |
    (?P<quoted>!?(?:[a-z]+[:=])?"[^"]*(?:"|$)) |
    (?P<bare>{_BARE}(?:\([^\s()]*\)[^\s()"]*)*)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_TERM = re.compile(r"(?P<field>[a-z_]+)(?P<how>>=|<=|[:=<>])(?P<value>.*)", re.DOTALL | re.IGNORECASE)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse(text: str) -> Node:
    """The tree of a filter; that of an empty one finds every job. FilterError where it cannot be understood."""
    tokens = [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(text)]
    tree, rest = _either(tokens, 0)
    if rest:
        raise FilterError("`)` closes nothing", "write `(` before it, or put it into quotes")
    return tree


_Tokens = list[tuple[str, str]]


def _either(tokens: _Tokens, depth: int) -> tuple[Node, _Tokens]:
    branches = []
    while True:
        branch, tokens = _both(tokens, depth)
        branches.append(branch)
        if not (tokens and tokens[0][1] == "OR"):
            break
        if branch == EVERYTHING:
            raise FilterError("`OR` has nothing before it", "write what is to be found on both of its sides")
        tokens = tokens[1:]
    if len(branches) > 1 and branches[-1] == EVERYTHING:
        raise FilterError("`OR` has nothing behind it", "write what is to be found on both of its sides")
    return branches[0] if len(branches) == 1 else Either(tuple(branches)), tokens


def _both(tokens: _Tokens, depth: int) -> tuple[Node, _Tokens]:
    nodes: list[Node] = []
    while tokens and tokens[0][0] != "close" and tokens[0][1] != "OR":
        if tokens[0][1] == "AND":
            tokens = tokens[1:]
            continue
        node, tokens = _one(tokens, depth)
        if node is not None:
            nodes.append(node)
    return nodes[0] if len(nodes) == 1 else Both(tuple(nodes)), tokens


def _one(tokens: _Tokens, depth: int) -> tuple[Node | None, _Tokens]:
    (kind, text), rest = tokens[0], tokens[1:]
    if depth > MOST_DEPTH:
        raise FilterError("too many brackets", f"{MOST_DEPTH} within each other are the most")
    if text == "NOT":
        if not rest or rest[0][0] == "close" or rest[0][1] in ("OR", "AND"):
            raise FilterError("`NOT` has nothing behind it", "write what is to be left out")
        node, rest = _one(rest, depth + 1)
        return (None if node is None else Not(node)), rest
    if text.startswith("!"):
        if text == "!":
            return None, rest  # about to be typed on
        node, rest = _one([(kind, text[1:]), *rest], depth + 1)
        return (None if node is None else Not(node)), rest
    if kind == "open":
        tree, rest = _either(rest, depth + 1)
        # A bracket that is not closed yet ends where the text does.
        return tree, rest[1:] if rest else rest
    return _term(kind, text), rest


def _term(kind: str, text: str) -> Node:
    if kind == "pattern" and text.startswith("/"):
        return _pattern(None, text)
    if kind == "quoted" and text.startswith('"'):
        return Word(text.strip('"'))
    match = _TERM.fullmatch(text)
    if match is None:
        return Word(text)
    field, how, value = match["field"].lower(), match["how"], match["value"]
    if field not in FIELDS:
        if how == "=":
            return Word(text)  # `seed=3` is what jobs of a matrix are called
        near = difflib.get_close_matches(field, FIELDS, n=1)
        allowed = f"did you mean `{near[0]}{how}`?" if near else f"there are {', '.join(FIELDS)}"
        raise FilterError(f"there is no field `{field}`", f'{allowed} (or write "{text}" for the text)')
    if not value.strip('"'):
        raise FilterError(f"`{text}` lacks a value", _EXAMPLES[field])
    return _of_field(field, how, value)


def _of_field(field: str, how: str, value: str) -> Node:
    if field in NUMBERS or field in SPANS:
        return _numbers(field, how, value)
    if how not in (":", "="):
        raise FilterError(f"`{field}` is text and cannot be {how} something", _EXAMPLES[field])
    if field == "status":
        return _states(value)
    if value.startswith("/"):
        return _pattern(TEXTS[field], value)
    return Text(TEXTS[field], value.strip('"'), exact=how == "=")


def _pattern(field: str | None, text: str) -> Pattern:
    pattern = text[1:-1] if len(text) > 1 and text.endswith("/") and not text.endswith("\\/") else text[1:]
    try:
        compiled(pattern)
    except PatternError as error:
        raise FilterError(
            f"/{pattern}/: {error}",
            r"RE2's regular expressions: no looking around; `\` before a sign means it",
        ) from None
    return Pattern(field, pattern)


def _states(value: str) -> Node:
    statuses: list[Status] = []
    held = False
    for name in (part for part in value.lower().split(",") if part):
        found = [known for known in (*STATES, "held") if known.startswith(name)]
        if not found:
            raise FilterError(f"there is no status `{name}`", f"there are {', '.join((*STATES, 'held'))}")
        held = held or "held" in found
        statuses += [status for known in found if known != "held" for status in STATES[known]]
    return States(tuple(dict.fromkeys(statuses)), held)


def _numbers(field: str, how: str, value: str) -> Node:
    name, read = (NUMBERS[field], _number) if field in NUMBERS else (SPANS[field], _span)
    if how in ("<", "<=", ">", ">="):
        bound, open_ = read(field, value), len(how) == 1
        low, high = (bound, None) if how[0] == ">" else (None, bound)
        return Between(name, low, high, open_)
    parts = [_range(name, field, part, read) for part in value.split(",") if part]
    if not parts:
        raise FilterError(f"`{field}:{value}` lacks a value", _EXAMPLES[field])
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def _range(name: str, field: str, text: str, read: Callable[[str, str], float]) -> Between:
    ends = re.fullmatch(r"(.*?[^e-])(?:-|\.\.)(.+)", text, re.IGNORECASE)
    if ends is None:
        return Between(name, read(field, text), read(field, text))
    low, high = read(field, ends[1]), read(field, ends[2])
    if low > high:
        raise FilterError(f"`{text}` has its larger end first", _EXAMPLES[field])
    return Between(name, low, high)


def _number(field: str, text: str) -> float:
    match = re.fullmatch(r"#?([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)(%?)", text.strip(), re.IGNORECASE)
    if match is None:
        raise FilterError(f"`{text}` is no number", _EXAMPLES[field])
    return float(match[1]) / (100 if match[2] else 1)


def _span(field: str, text: str) -> float:
    match = re.fullmatch(r"(\d+\.?\d*)([smhdw])", text.strip(), re.IGNORECASE)
    if match is None:
        raise FilterError(f"`{text}` is no span of time", _EXAMPLES[field])
    return float(match[1]) * _SECONDS[match[2].lower()]


_EXAMPLES: dict[str, str] = {
    "status": f"write one of {', '.join(STATES)}",
    **{name: f"write like {name}:text, {name}=exactly or {name}:/regex/" for name in TEXTS},
    **{name: f"write like {name}>3, {name}<=2.5 or {name}:1-4" for name in NUMBERS},
    "id": "write like id:7, id:3-9,12 or id>100",
    "acc": "write like acc>0.5, acc>=50% or acc:0.4-0.6",
    "accuracy": "write like accuracy>0.5 or accuracy>=50%",
    "done": "write like done<50%",
    **{name: f"write like {name}<2h or {name}>30m; s, m, h, d and w are allowed" for name in SPANS},
}
