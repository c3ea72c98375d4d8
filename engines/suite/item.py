"""One question of the suite, its grade, and what a task consists of.

A task is data and pure functions: how a row of the public dataset becomes an item, how an item of the same form is
made without any download, and how an answer is graded. Nothing else knows the format of a task.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from engines.sandbox import Sandbox

Domain = Literal["math", "code", "science", "logic", "simulation", "tabular", "ood"]
Outcome = Literal["graded", "no_answer", "error"]


@dataclass(frozen=True)
class Item:
    """A question. `gold` and `extra` are JSON texts, so that items of all tasks fit into one table."""

    uid: str
    """16 hex characters of task, prompt and gold: what paired tests join on."""
    task: str
    prompt: str
    """The user's turn, with the answer's format asked for."""
    gold: str
    """What is right, as JSON; never shown to the model, never sent into a sandbox."""
    extra: str = "{}"
    """What else the grader needs, as JSON."""
    cluster: str = ""
    """Items of one cluster are no independent evidence: the same problem asked in several ways. Empty: the uid."""
    difficulty: float | None = None

    @property
    def answer(self) -> Any:
        return json.loads(self.gold)

    @property
    def details(self) -> Any:
        return json.loads(self.extra)


@dataclass(frozen=True)
class SuiteGrade:
    """The verdict on one answer."""

    score: float
    """0 to 1: the share that is right where a task gives partial credit, else 0 or 1."""
    correct: bool
    """All of it right, and found where it was asked for."""
    lenient: bool
    """All of it right, wherever it was found without guessing."""
    outcome: Outcome
    """`error`: the grader failed, which says nothing about the answer and is never counted as wrong."""
    extracted: str | None = None
    method: str = "none"
    """Where the answer was found: `box`, `answer_tag`, `code_block`, `json_block`, `phrase`, `last_number`, ..."""
    detail: str = ""
    """Why: the error, the failed test."""
    in_format: bool = False
    """The answer stands where the prompt asks for it."""


@dataclass(frozen=True)
class SuiteTask:
    """One of the suite's tasks."""

    name: str
    domain: Domain
    hub: str
    """The public dataset on the Hugging Face hub."""
    parse: Callable[[Mapping[str, Any]], Item]
    """An item of a row of the public dataset. Raises RecipeError for a row of another form."""
    generate: Callable[[int, int], Item]
    """A made item of the same form, of a seed and a difficulty from 0 to 5; the same on every machine."""
    gold_answer: Callable[[Item], str]
    """A completion that deserves full marks, for the graders' own tests. Raises ValueError where the data has none."""
    grade: Callable[[Item, str, Sandbox], SuiteGrade]
    samples: int = 1
    """Answers to a question in the published protocol: the k of avg@k."""
    hub_config: str | None = None
    hub_split: str = "test"
    levels: bool = True
    """Made items come in difficulties."""


def make_item(
    task: str,
    prompt: str,
    gold: Any,
    extra: Mapping[str, Any] | None = None,
    *,
    cluster: str = "",
    difficulty: float | None = None,
) -> Item:
    """An item with its uid and its JSON."""
    gold_text = json.dumps(gold, ensure_ascii=False, sort_keys=True)
    extra_text = json.dumps(dict(extra or {}), ensure_ascii=False, sort_keys=True)
    uid = hashlib.blake2b(f"{task}\0{prompt}\0{gold_text}".encode(), digest_size=8).hexdigest()
    return Item(uid, task, prompt, gold_text, extra_text, cluster or uid, difficulty)


def no_answer(method: str = "none", detail: str = "") -> SuiteGrade:
    """Nothing was found that could be graded."""
    return SuiteGrade(0.0, False, False, "no_answer", None, method, detail)


def grader_error(detail: str) -> SuiteGrade:
    """The grader failed; counted apart, never as a wrong answer."""
    return SuiteGrade(0.0, False, False, "error", None, "none", detail)


def graded(
    right: bool, extracted: str, method: str, *, asked_for: bool, score: float | None = None, detail: str = ""
) -> SuiteGrade:
    """A grade of an answer that was found; `asked_for`: in the place that the prompt names."""
    share = float(right) if score is None else score
    given = share if asked_for else 0.0
    return SuiteGrade(given, right and asked_for, right, "graded", extracted, method, detail, asked_for)
