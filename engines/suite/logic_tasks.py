"""ARC-AGI-1, zebra and ordering puzzles: a grid, a table or a list between `<answer>` tags."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.arc_made import made_grids
from engines.suite.choice_tasks import choice_item, gold_letter, grade_choice
from engines.suite.extraction import Found, boxed, fenced, said, tagged
from engines.suite.item import Item, SuiteGrade, SuiteTask, graded, make_item, no_answer
from engines.suite.puzzles_made import made_order, made_zebra
from engines.suite.python_source import literal

_DEMOS = 6
_OPTION = re.compile(r"(?m)^\(([A-Z])\)\s*(.+)$")


def parsed_value(text: str) -> Any:
    """JSON or a Python literal; None where it is neither. Nothing is evaluated."""
    for read in (json.loads, literal):
        try:
            value = read(text.strip())
            repr(
                value
            )  # an integer too long to be written would end the grader later, and so leave the count
            return value
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None


def _places(text: str) -> list[tuple[Found, bool]]:
    """The places where a structured answer may stand, the one that was asked for first."""
    found = [(tagged(text), True), (fenced(text), False), (boxed(text), False)]
    spoken = said(text)
    first, last = spoken.find("["), spoken.rfind("]")
    whole = Found(spoken[first : last + 1], "brackets") if 0 <= first < last else None
    return [(place, asked) for place, asked in [*found, (whole, False)] if place is not None]


def _grid_prompt(train: Sequence[Mapping[str, Any]], test: Any) -> str:
    shown = [
        f"Example {number}:\nInput: {json.dumps(pair['input'])}\nOutput: {json.dumps(pair['output'])}"
        for number, pair in enumerate(train[:_DEMOS], start=1)
    ]
    return (
        "Each example turns an input grid into an output grid by the same rule. Numbers are colours.\n\n"
        + "\n\n".join(shown)
        + f"\n\nApply the rule to this input: {json.dumps(test)}\n"
        "Please put the output grid within <answer> </answer>, as in <answer>[[1, 2], [3, 4]]</answer>."
    )


def _parse_arc(row: Mapping[str, Any]) -> Item:
    """A file of fchollet/ARC-AGI: demonstrations, and the first of its tests."""
    test = row["test"][0]
    return make_item("arcagi1", _grid_prompt(row["train"], test["input"]), test["output"])


def _made_arc(seed: int, difficulty: int) -> Item:
    train, test = made_grids(seed, difficulty)
    return make_item("arcagi1", _grid_prompt(train, test["input"]), test["output"], difficulty=difficulty)


def grade_grid(item: Item, text: str, _sandbox: Sandbox) -> SuiteGrade:
    """Right where the whole grid is; how many cells are goes into the detail."""
    gold = item.answer
    for found, asked in _places(text):
        grid = parsed_value(found.text)
        if _is_grid(grid):
            return graded(
                grid == gold, json.dumps(grid), found.method, asked_for=asked, detail=_cells(grid, gold)
            )
    return no_answer()


def _is_grid(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, list) and row and all(type(cell) is int for cell in row) for row in value)
    )


def _cells(grid: list[list[int]], gold: list[list[int]]) -> str:
    total = sum(map(len, gold))
    same = sum(
        a == b for left, right in zip(grid, gold, strict=False) for a, b in zip(left, right, strict=False)
    )
    return f"{same} of {total} cells"


def _parse_zebra(row: Mapping[str, Any]) -> Item:
    """Rows of ZebraLogic's grid mode: a puzzle, and a solution with header and rows."""
    solution = row["solution"]
    solution = json.loads(solution) if isinstance(solution, str) else solution
    gold = {"header": list(solution["header"]), "rows": [list(line) for line in solution["rows"]]}
    if not gold["rows"] or any(len(line) != len(gold["header"]) for line in gold["rows"]):
        raise ValueError("the solution's rows do not fit its header")
    return make_item("zebra", _zebra_prompt(str(row["puzzle"]), gold["header"]), gold)


def _zebra_prompt(puzzle: str, header: Sequence[str]) -> str:
    form = json.dumps({"header": list(header), "rows": [["..."] * len(header)]})
    return (
        f"{puzzle.strip()}\n\nPlease put the solution within <answer> </answer> as JSON with one row a house, "
        f"as in <answer>{form}</answer>."
    )


def _made_zebra(seed: int, difficulty: int) -> Item:
    puzzle, gold = made_zebra(seed, difficulty)
    return make_item("zebra", _zebra_prompt(puzzle, gold["header"]), gold, difficulty=difficulty)


def grade_zebra(item: Item, text: str, _sandbox: Sandbox) -> SuiteGrade:
    """Partial credit is the share of right cells. The position column is given, so it earns none."""
    for found, asked in _places(text):
        table = parsed_value(found.text)
        if isinstance(table, dict) and isinstance(table.get("rows"), list):
            share = _share_of_cells(table, item.answer)
            return graded(
                share == 1.0,
                found.text[:500],
                found.method,
                asked_for=asked,
                score=share,
                detail=f"{share:.0%} of cells",
            )
    return no_answer()


def _share_of_cells(table: Mapping[str, Any], gold: Mapping[str, Any]) -> float:
    """Columns are matched by their names, rows by the first column's value where it has one, else by their place."""
    wanted = [_word(name) for name in gold["header"]]
    header = table.get("header")
    named = [_word(name) for name in header] if isinstance(header, list) else wanted
    by_position: dict[str, dict[str, str]] = {}
    for place, line in enumerate(table["rows"]):
        if not isinstance(line, list):
            continue
        cells = dict(zip(named, map(_word, line), strict=False))
        by_position.setdefault(cells.get(wanted[0]) or str(place + 1), cells)
    right = total = 0
    for line in gold["rows"]:
        theirs = by_position.get(_word(line[0]), {})
        for name, value in list(zip(wanted, map(_word, line), strict=True))[1:]:
            total += 1
            right += theirs.get(name) == value
    return right / total if total else 0.0


def _word(value: Any) -> str:
    return " ".join(str(value).casefold().split())


def _parse_ordering(row: Mapping[str, Any]) -> Item:
    """Rows with `question` and a list as `answer`, or BIG-Bench-Hard's multiple choice (`input`, `target`)."""
    if "target" in row:
        question, _, listed = str(row["input"]).partition("\nOptions:\n")
        letters, options = zip(*_OPTION.findall(listed), strict=True) if _OPTION.search(listed) else ((), ())
        right = str(row["target"]).strip("() ")
        return choice_item("ordering", question, options, letters.index(right))
    answer = row["answer"]
    gold = parsed_value(answer) if isinstance(answer, str) else list(answer)
    if not isinstance(gold, list) or not gold:
        raise ValueError("the answer is not a list of names")
    return make_item("ordering", _ordering_prompt(str(row["question"])), gold)


def _ordering_prompt(question: str) -> str:
    return f"{question.strip()} Please put the list within <answer> </answer>, as in <answer>['a', 'b']</answer>."


def _made_ordering(seed: int, difficulty: int) -> Item:
    question, gold = made_order(seed, difficulty)
    return make_item("ordering", _ordering_prompt(question), gold, difficulty=difficulty)


def grade_ordering(item: Item, text: str, sandbox: Sandbox) -> SuiteGrade:
    """Right where all names stand in the right order; case and white space do not count."""
    if "options" in item.details:
        return grade_choice(item, text, sandbox)
    for found, asked in _places(text):
        names = parsed_value(found.text)
        if isinstance(names, list | tuple) and names and all(isinstance(name, str | int) for name in names):
            right = [_word(name) for name in names] == [_word(name) for name in item.answer]
            return graded(right, str(list(names)), found.method, asked_for=asked)
    return no_answer()


def _gold_tagged(item: Item) -> str:
    return f"<answer>{item.gold}</answer>"


def _gold_ordering(item: Item) -> str:
    return gold_letter(item) if "options" in item.details else f"<answer>{item.answer!r}</answer>"


TASKS = (
    SuiteTask("arcagi1", "logic", "fchollet/ARC-AGI", _parse_arc, _made_arc, _gold_tagged, grade_grid, samples=4),
    SuiteTask(
        "zebra", "logic", "allenai/ZebraLogicBench-private", _parse_zebra, _made_zebra, _gold_tagged, grade_zebra,
        samples=4, hub_config="grid_mode",
    ),
    SuiteTask(
        "ordering", "logic", "LLM360/guru-RL-92k", _parse_ordering, _made_ordering, _gold_ordering, grade_ordering
    ),
)  # fmt: skip
