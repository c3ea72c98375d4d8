r"""FinQA, HiTab and MultiHiertt: a number, a text or several, in `\boxed{}`, read off tables."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.extraction import asked_box_or_lenient
from engines.suite.item import Item, SuiteGrade, SuiteTask, graded, make_item, no_answer
from engines.suite.tables_made import made_finqa, made_hitab, made_multihier

TOLERANCE = Decimal("0.001")
"""Relative; for numbers that are not both whole."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3})?|-?\.\d+")
_TEXT = re.compile(r"\\(?:text|mbox|mathrm|textbf)\{([^{}]*)\}")


def markdown(table: Sequence[Sequence[Any]]) -> str:
    """A table as Markdown, its first row as the header."""
    rows = [[" ".join(str(cell).split()).replace("|", "/") for cell in row] for row in table]
    if not rows:
        raise ValueError("the table is empty")
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


class _Cells(HTMLParser):
    """The cells of an HTML table, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self._open = True

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.rows[-1][-1] += data


def _table_text(table: Any) -> str:
    if isinstance(table, str) and "<table" in table.lower():
        cells = _Cells()
        cells.feed(table)
        return markdown([row for row in cells.rows if row])
    return table.strip() if isinstance(table, str) else markdown(table)


def tabular_prompt(tables: Sequence[Any], question: str, before: str = "", after: str = "") -> str:
    """Text, tables and question, with the answer's format."""
    parts = [before.strip(), *map(_table_text, tables), after.strip(), question.strip()]
    asked = "Please output the final answer within \\boxed{}. If there are several answers, join them with |."
    return "\n\n".join([part for part in parts if part] + [asked])


def grade_tabular(item: Item, text: str, _sandbox: Sandbox) -> SuiteGrade:
    """Right where every value is: numbers up to rounding, texts but for case, several in any order."""
    found, asked = asked_box_or_lenient(text)
    if found is None:
        return no_answer()
    answer = _TEXT.sub(r"\1", found.text).replace("\\%", "%").replace("\\$", "$").replace("\\|", "|")
    gold = [str(value) for value in item.answer]
    # One gold answer may hold a bar of its own.
    given = answer.split("|") if len(gold) > 1 else [answer]
    right = len(given) == len(gold) and _all_match(given, gold)
    return graded(right, answer[:500], found.method, asked_for=asked)


def _all_match(given: Sequence[str], gold: Sequence[str]) -> bool:
    left = list(given)
    for value in gold:
        match = next((place for place, ours in enumerate(left) if same_value(ours, value)), None)
        if match is None:
            return False
        left.pop(match)
    return True


def same_value(ours: str, gold: str) -> bool:
    """Equal numbers within a thousandth (whole ones exactly), or equal texts. `93.5%` is 93.5 and 0.935."""
    left, right = _values(ours), _values(gold)
    if not left or not right:
        return _plain(ours) == _plain(gold) != ""
    if len(left) == len(right):  # two percentages are alike in what is written: 5000 % is not 50 %
        return _close(left[0], right[0])
    return any(_close(a, b) for a in left for b in right)


def _close(a: Decimal, b: Decimal) -> bool:
    if a == a.to_integral_value() and b == b.to_integral_value():
        return a == b
    return abs(a - b) <= TOLERANCE * abs(b)


def _values(text: str) -> list[Decimal]:
    """What a written number may stand for; nothing where the text is no number."""
    plain = text.strip().strip("$€£ ").replace(",", "").replace(" ", "")
    negative = plain.startswith("(") and plain.rstrip("%").endswith(")")
    plain = plain.replace("(", "").replace(")", "") if negative else plain
    percent = plain.endswith("%")
    plain = plain.rstrip("%").strip("$€£").replace("-$", "-")
    if not _NUMBER.fullmatch(plain) or len(plain) > 40:
        return []
    value = Decimal(plain) * (-1 if negative else 1)
    return [value, value / 100] if percent else [value]


def _plain(text: str) -> str:
    return " ".join(text.casefold().replace("$", "").strip(" .\"'").split())


def gold_joined(item: Item) -> str:
    """A completion with all gold values."""
    return f"So the answer is \\boxed{{{'|'.join(map(str, item.answer))}}}."


def _parse_finqa(row: Mapping[str, Any]) -> Item:
    """Rows of FinQA: text before and after a table, and a question with its executed answer."""
    qa = row.get("qa") or row
    before, after = (" ".join(row.get(name) or []) for name in ("pre_text", "post_text"))
    gold = qa.get("exe_ans", qa["answer"]) if isinstance(qa, Mapping) else row["answer"]
    gold = gold if gold not in (None, "") else qa["answer"]
    return make_item(
        "finqa", tabular_prompt([row["table"]], str(qa["question"]), before, after), [_shown(gold)]
    )


def _parse_hitab(row: Mapping[str, Any]) -> Item:
    """Rows with `table` (Markdown, HTML or rows of cells), `question`, and one answer or several."""
    return make_item("hitab", tabular_prompt([row["table"]], str(row["question"])), _several(row["answer"]))


def _parse_multihier(row: Mapping[str, Any]) -> Item:
    """Rows of MultiHiertt: several HTML tables, and a question with its answer. The text around them is left out."""
    qa = row.get("qa") or row
    return make_item("multihier", tabular_prompt(row["tables"], str(qa["question"])), _several(qa["answer"]))


def _several(answer: Any) -> list[str]:
    values = answer if isinstance(answer, list) else [answer]
    if not values or any(value in (None, "") for value in values):
        raise ValueError("the answer is empty")
    return [_shown(value) for value in values]


def _shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _made(task: str, made: Any) -> Any:
    def generate(seed: int, difficulty: int) -> Item:
        tables, question, gold, before = made(seed, difficulty)
        return make_item(task, tabular_prompt(tables, question, before), gold, difficulty=difficulty)

    return generate


TASKS = (
    SuiteTask("finqa", "tabular", "dreamerdeo/finqa", _parse_finqa, _made("finqa", made_finqa), gold_joined, grade_tabular),
    SuiteTask(
        "hitab", "tabular", "kasnerz/hitab", _parse_hitab, _made("hitab", made_hitab), gold_joined, grade_tabular
    ),
    SuiteTask(
        "multihier", "tabular", "yilunzhao/MultiHiertt", _parse_multihier, _made("multihier", made_multihier),
        gold_joined, grade_tabular, samples=4,
    ),
)  # fmt: skip
