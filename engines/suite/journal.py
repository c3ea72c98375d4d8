"""What a suite's evaluation has done so far, beside its events: answers and grades, a file a task, for the next attempt."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.generation.append_only import append_lines, read_lines
from engines.suite.item import Item, SuiteTask
from engines.suite.rows import VERSION, Answer, SuiteRow, fields_of, row_of


@dataclass(frozen=True)
class Question:
    """One answer that is wanted."""

    task: SuiteTask
    item: Item
    sample: int

    @property
    def key(self) -> str:
        return f"{self.task.name}/{self.item.uid}/{self.sample}"


def keep_answers(pairs: Sequence[tuple[Question, Answer]], directory: Path) -> None:
    """Appends answers to `samples/TASK.jsonl`."""
    folder = directory / "samples"
    folder.mkdir(exist_ok=True)
    by_task: dict[str, list[dict[str, Any]]] = {}
    for question, answer in pairs:
        line = {
            "key": question.key,
            "uid": question.item.uid,
            "k": answer.sample,
            "text": answer.text,
            "tokens": answer.tokens,
            "finish_reason": "stop" if answer.terminated else "length",
        }
        by_task.setdefault(question.task.name, []).append(line)
    for name, lines in by_task.items():
        append_lines(folder / f"{name}.jsonl", lines)


def answered_before(directory: Path) -> dict[str, Answer]:
    """The answers of an earlier attempt, by key."""
    return {
        line["key"]: Answer(line["k"], line["text"], line["tokens"], line["finish_reason"] == "stop")
        for file in sorted((directory / "samples").glob("*.jsonl"))
        for line in read_lines(file)
    }


def graded_before(directory: Path) -> dict[str, SuiteRow]:
    """Rows that this version of the graders has graded, by key. One that failed is tried again."""
    return {
        row.key: row for row, version in _grades(directory) if version == VERSION and row.outcome != "error"
    }


def keep_grades(rows: Sequence[SuiteRow], directory: Path) -> None:
    """Appends grades to `grades/TASK.jsonl`."""
    folder = directory / "grades"
    folder.mkdir(exist_ok=True)
    by_task: dict[str, list[SuiteRow]] = {}
    for row in rows:
        by_task.setdefault(row.task, []).append(row)
    for name, group in by_task.items():
        append_lines(folder / f"{name}.jsonl", [{"version": VERSION} | fields_of(row) for row in group])


def failed_before(directory: Path) -> list[SuiteRow]:
    """Answers whose last grading failed."""
    newest = {row.key: row for row, _ in _grades(directory)}
    return [row for row in newest.values() if row.outcome == "error"]


def _grades(directory: Path) -> Iterator[tuple[SuiteRow, str]]:
    for file in sorted((directory / "grades").glob("*.jsonl")):
        for line in read_lines(file):
            yield row_of(line), str(line.get("version"))
