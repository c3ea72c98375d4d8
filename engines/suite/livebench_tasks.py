"""LiveBench's reasoning, language and data-analysis questions, by the kind that each row names.

Scores are LiveBench's: a share of groups, of sentences in place or of joined columns where a kind gives partial credit.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.extraction import Found, boxed, fenced, said, tagged
from engines.suite.item import Item, SuiteGrade, SuiteTask, graded, make_item, no_answer
from engines.suite.livebench_made import made_data_analysis, made_language, made_reasoning
from engines.suite.logic_tasks import parsed_value

_BOLD = re.compile(r"(?s)\*\*(.+?)\*\*")
_SPLIT = re.compile(r"[,\n]+")

Score = Callable[[str, Any], float]
"""Of the answer's text and the gold: 0 to 1."""


def _word(text: str) -> str:
    return " ".join(text.casefold().strip(" .*\"'`").split())


def _words(text: str) -> list[str]:
    return [word for word in map(_word, _SPLIT.split(text)) if word]


def _same_word(answer: str, gold: Any) -> float:
    return float(_word(answer) == _word(str(gold)))


def _same_list(answer: str, gold: Any) -> float:
    return float(_words(answer) == _words(str(gold)))


def _groups(answer: str, gold: Any) -> float:
    """Connections: the share of groups of four that are whole, in any order."""
    wanted, given = _words(str(gold)), _words(answer)
    if len(given) != len(wanted):
        return 0.0

    def groups(listed: list[str]) -> list[frozenset[str]]:
        return [frozenset(listed[place : place + 4]) for place in range(0, len(listed), 4)]

    theirs = set(groups(given))
    return sum(group in theirs for group in groups(wanted)) / len(groups(wanted))


def _contains_text(answer: str, gold: Any) -> float:
    """Typos: the corrected text stands in the answer, letter for letter, and the answer is about that long."""
    wanted = " ".join(str(gold).split())
    given = " ".join(answer.split())
    return float(wanted in given and len(given) <= 2 * len(wanted) + 200)


def _order_distance(answer: str, gold: Any) -> float:
    """Plot unscrambling: 1 - edit distance over the number of sentences (LiveBench)."""
    wanted = [_word(line) for line in str(gold).splitlines() if line.strip()]
    given = [_word(line) for line in answer.splitlines() if line.strip()]
    return max(0.0, 1 - _edits(given, wanted) / max(len(wanted), 1))


def _edits(first: list[str], second: list[str]) -> int:
    """Levenshtein's distance between two lists."""
    row = list(range(len(second) + 1))
    for i, left in enumerate(first, start=1):
        before, row[0] = row[0], i
        for j, right in enumerate(second, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


def _same_table(answer: str, gold: Any) -> float:
    """Reformatting: the same rows under the same columns, whatever their order in JSON."""
    ours, theirs = _records(answer), _records(str(gold))
    return float(ours is not None and ours == theirs)


def _records(text: str) -> list[dict[str, str]] | None:
    """Rows of JSON (a list or a mapping of records, or JSON lines), or of CSV or TSV."""
    value = parsed_value(text)
    if value is None and text.strip().startswith("{"):
        lines = [parsed_value(line) for line in text.strip().splitlines() if line.strip()]
        value = lines if all(isinstance(line, dict) for line in lines) else None
    if isinstance(value, dict) and value and all(isinstance(row, dict) for row in value.values()):
        value = list(value.values())
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return [{_word(str(k)): _word(str(v)) for k, v in row.items()} for row in value]
    first = text.strip().partition("\n")[0]
    delimiter = "\t" if "\t" in first else ","
    if value is not None or delimiter not in first:
        return None
    try:
        rows = list(csv.DictReader(io.StringIO(text.strip()), delimiter=delimiter))
    except csv.Error:  # a carriage return within a line, a field without end
        return None
    return [{_word(str(k)): _word(str(v)) for k, v in row.items()} for row in rows] or None


def _join(answer: str, gold: Any) -> float:
    """Table join: the F1 of the mapped columns (LiveBench)."""
    ours, theirs = parsed_value(answer), gold if isinstance(gold, dict) else parsed_value(str(gold))
    if not isinstance(ours, dict) or not isinstance(theirs, dict) or not theirs:
        return 0.0
    hits = sum(ours.get(key) == value for key, value in theirs.items())
    return 2 * hits / (len(ours) + len(theirs)) if hits else 0.0


KINDS: dict[str, Score] = {
    "web_of_lies_v2": _same_list,
    "web_of_lies_v3": _same_list,
    "zebra_puzzle": _same_list,
    "spatial": _same_word,
    "typos": _contains_text,
    "connections": _groups,
    "plot_unscrambling": _order_distance,
    "tablereformat": _same_table,
    "tablejoin": _join,
    "cta": _same_word,
}
_WHOLE = ("typos", "plot_unscrambling")
"""Kinds whose answer is a text of its own, not a few words in a marked place."""


def _grade(item: Item, text: str, _sandbox: Sandbox) -> SuiteGrade:
    """The kind's score in the place that the prompt names: bold, `<solution>`, a box or a code block."""
    kind, gold = item.details["kind"], item.answer
    found = _found(kind, text)
    if found is None:
        return no_answer()
    share = KINDS[kind](found.text, gold)
    return graded(share == 1.0, found.text[:500], found.method, asked_for=True, score=share)


def _found(kind: str, text: str) -> Found | None:
    spoken = said(text)
    if (marked := tagged(text, "solution")) is not None:
        return marked
    if kind in ("tablereformat", "tablejoin"):
        bare = spoken.strip()
        return fenced(text) or (Found(bare, "whole_text") if bare[:1] in ("{", "[") else None)
    if kind in _WHOLE:
        return tagged(text) or (Found(spoken.strip(), "whole_text") if spoken.strip() else None)
    bold = _BOLD.findall(spoken)
    if bold:
        return Found(bold[-1].strip(), "bold")
    return boxed(text)


def _parse(task: str) -> Callable[[Mapping[str, Any]], Item]:
    def parse(row: Mapping[str, Any]) -> Item:
        """Rows of livebench/*: `task`, `turns` and `ground_truth`."""
        kind = str(row["task"])
        if kind not in KINDS:
            raise ValueError(f"task {kind!r} is not one of {', '.join(KINDS)}")
        gold = row["ground_truth"]
        value = parsed_value(gold) if kind == "tablejoin" and isinstance(gold, str) else gold
        return make_item(task, str(row["turns"][0]), value, {"kind": kind})

    return parse


def _made(task: str, made: Callable[[int, int], tuple[str, str, Any]]) -> Callable[[int, int], Item]:
    def generate(seed: int, difficulty: int) -> Item:
        kind, prompt, gold = made(seed, difficulty)
        return make_item(task, prompt, gold, {"kind": kind}, difficulty=difficulty)

    return generate


def _gold(item: Item) -> str:
    gold = item.answer
    return f"<solution>{gold if isinstance(gold, str) else json.dumps(gold)}</solution>"


def _task(part: str, made: Callable[[int, int], tuple[str, str, Any]]) -> SuiteTask:
    name = f"livebench_{part}"
    return SuiteTask(
        name, "ood", f"livebench/{part}", _parse(name), _made(name, made), _gold, _grade, samples=4
    )


TASKS = (
    _task("reasoning", made_reasoning),
    _task("language", made_language),
    _task("data_analysis", made_data_analysis),
)
