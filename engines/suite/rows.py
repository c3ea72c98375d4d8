"""A graded answer as the cockpit shows it: the fields of an `example` event, under the names that all tasks share."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.item import Item, SuiteGrade, SuiteTask, grader_error, no_answer

logger = logging.getLogger(__name__)

VERSION = "suite-1"
"""Raised with every change that can alter a grade: scores of different versions are not comparable."""


@dataclass(frozen=True)
class SuiteRow:
    """One answer with its grade. `strict`: right where the task asks for it; `robust`: right wherever it was found."""

    example_id: str
    sample: int
    task: str
    domain: str
    cluster: str
    question: str
    gold: str
    extra: str
    completion: str
    extracted: str | None
    method: str
    outcome: str
    score: float
    strict: bool
    robust: bool
    answered: bool
    in_format: bool
    terminated: bool
    tokens: int
    detail: str
    sandbox: str
    """The layer that programs ran behind."""

    @property
    def key(self) -> str:
        """The same in every attempt, so that a retry replaces what the first one wrote."""
        return f"{self.example_id}/{self.sample}"


@dataclass(frozen=True)
class Answer:
    """What a model said to an item."""

    sample: int
    text: str
    tokens: int
    terminated: bool


def verdict_of(task: SuiteTask, item: Item, text: str, sandbox: Sandbox) -> SuiteGrade:
    """The grade of what a model wrote. A grader that raises is reported as that, never as a wrong answer."""
    try:
        return task.grade(item, text, sandbox)
    except Exception as error:  # whatever a model wrote must not end the job, nor count against it
        logger.exception("%s: the grader failed on %s", task.name, item.uid)
        return grader_error(f"{type(error).__name__}: {error}")


def graded_row(task: SuiteTask, item: Item, answer: Answer, sandbox: Sandbox) -> SuiteRow:
    """The answer with its grade."""
    return _row(task, item, answer, verdict_of(task, item, answer.text, sandbox), sandbox.label)


def too_long_row(task: SuiteTask, item: Item, sample: int, sandbox: Sandbox) -> SuiteRow:
    """A question that does not fit into the model's context: the model has no answer to it."""
    verdict = no_answer("too_long", "the question does not fit into the model's context")
    return _row(task, item, Answer(sample, "", 0, False), verdict, sandbox.label)


def _row(task: SuiteTask, item: Item, answer: Answer, verdict: SuiteGrade, layer: str) -> SuiteRow:
    return SuiteRow(
        example_id=f"{task.name}/{item.uid}",
        sample=answer.sample,
        task=task.name,
        domain=task.domain,
        cluster=item.cluster,
        question=item.prompt,
        gold=item.gold,
        extra=item.extra,
        completion=_writable(answer.text),
        extracted=None if verdict.extracted is None else _writable(verdict.extracted),
        method=verdict.method,
        outcome=verdict.outcome,
        score=verdict.score,
        strict=verdict.correct,
        robust=verdict.lenient,
        answered=verdict.outcome == "graded",
        in_format=verdict.in_format,
        terminated=answer.terminated,
        tokens=answer.tokens,
        detail=_writable(verdict.detail),
        sandbox=layer,
    )


def _writable(text: str) -> str:
    """The text with half surrogate pairs spelled out: no file takes them, and a model's program may say what it likes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def item_of(stored: Mapping[str, Any]) -> tuple[Item, Answer]:
    """The item and the answer that the fields of an `example` event hold, for grading again. KeyError where one is missing."""
    item = Item(
        uid=stored["example_id"].partition("/")[2],
        task=stored["task"],
        prompt=stored["question"],
        gold=stored["gold"],
        extra=stored["extra"],
        cluster=stored["cluster"],
    )
    json.loads(item.gold)
    return item, Answer(stored["sample"], stored["completion"], stored["tokens"], stored["terminated"])


def fields_of(row: SuiteRow) -> dict[str, Any]:
    """The fields of its `example` event."""
    return asdict(row)


def row_of(stored: Mapping[str, Any]) -> SuiteRow:
    """The row that the fields of an `example` event hold. KeyError where one is missing."""
    return SuiteRow(**{field.name: stored[field.name] for field in fields(SuiteRow)})
