"""The `eval` engine over a suite: many tasks in one job, resumable by answer, gradable again without generating.

Answers go to `samples/TASK.jsonl` as they are generated and grades to `grades/TASK.jsonl`; a retry takes what is there.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.generation.append_only import append_lines, read_lines
from engines.generation.generator import Generator, Request
from engines.prompts.rendering import token_ids
from engines.recipe.blocks import SamplingBlock, Split, SuiteBlock
from engines.recipe.errors import RecipeError
from engines.run import Run, write_whole
from engines.sandbox import Sandbox
from engines.suite.item import Item, SuiteTask
from engines.suite.prompting import render_items, suite_prompt
from engines.suite.rows import VERSION, Answer, SuiteRow, fields_of, graded_row, row_of, too_long_row
from engines.suite.selection import items_of, samples_of, tasks_of
from engines.suite.summary import summarize_suite
from engines.tasks.summary import Score

_GRADED_AT_ONCE = 8
"""Threads that wait for the graders' processes."""


@dataclass(frozen=True)
class Question:
    """One answer that is wanted."""

    task: SuiteTask
    item: Item
    sample: int

    @property
    def key(self) -> str:
        return f"{self.task.name}/{self.item.uid}/{self.sample}"


def questions_of(suite: SuiteBlock, split: Split, sampling: SamplingBlock) -> list[Question]:
    """All answers that the suite asks for, in order. Raises RecipeError where greedy decoding is to answer twice."""
    wanted = []
    for task in tasks_of(suite):
        samples = samples_of(suite, task)
        if samples > 1 and sampling.temperature == 0:
            raise RecipeError(
                f"suite.samples: {samples} answers to each question of {task.name} need `sampling.temperature` above 0",
                hint="greedy answers are all the same; GURU samples at temperature 1.0, top_p 0.7",
            )
        items = items_of(suite, task, split)
        wanted += [Question(task, item, sample) for item in items for sample in range(samples)]
    return wanted


def answer_all(
    wanted: Sequence[Question],
    suite: SuiteBlock,
    sampling: SamplingBlock,
    generator: Generator,
    tokenizer: Any,
    sandbox: Sandbox,
    run: Run,
    context: int | None = None,
) -> list[SuiteRow] | None:
    """A graded row for every question, in order; None where the job was asked to stop before all were answered.

    `context` is the model's, in tokens: a question that does not fit with its answer counts as not answered.
    Sample s of a question depends on the seed, the prompt and s alone, so adding a task changes no other's answers.
    """
    rows = _graded_before(run.dir)
    for row in rows.values():  # a worker may have been killed between the journal and the event
        run.events.emit("example", key=row.key, fields=fields_of(row))
    todo = [question for question in wanted if question.key not in rows]
    answers = _answered_before(run.dir)
    ready = [question for question in todo if question.key in answers]
    for row in _grade([(question, answers[question.key]) for question in ready], sandbox, run):
        rows[row.key] = row
    run.events.progress(len(rows), len(wanted), "answer")

    open_questions = [question for question in todo if question.key not in answers]
    prompts = render_items(tokenizer, [question.item for question in open_questions], suite.system)
    if context is not None:
        fits = [len(token_ids(tokenizer, text)) + sampling.max_new_tokens <= context for text in prompts]
        for question in (q for q, fit in zip(open_questions, fits, strict=True) if not fit):
            row = too_long_row(question.task, question.item, question.sample, sandbox)
            rows[row.key] = row
            run.events.emit("example", key=row.key, fields=fields_of(row))
        open_questions = [q for q, fit in zip(open_questions, fits, strict=True) if fit]
        prompts = [text for text, fit in zip(prompts, fits, strict=True) if fit]
    requests = [Request(text, q.sample) for text, q in zip(prompts, open_questions, strict=True)]
    stop = suite_prompt(suite.system).stop
    for batch in generator.stream(requests, sampling, stop, run.seed) if requests else ():
        fresh = [
            (
                open_questions[place],
                Answer(
                    open_questions[place].sample,
                    completion.text,
                    len(completion.token_ids),
                    completion.terminated,
                ),
            )
            for place, completion in batch
        ]
        _keep_answers(fresh, run.dir)
        for row in _grade(fresh, sandbox, run):
            rows[row.key] = row
        run.events.progress(len(rows), len(wanted), "answer")
        if run.stop_requested and len(rows) < len(wanted):
            return None
    return [rows[question.key] for question in wanted]


def report_scores(
    rows: Sequence[SuiteRow], suite: SuiteBlock, split: Split, sampling: SamplingBlock, run: Run
) -> list[Score]:
    """Scores as events and in `metrics.json`; the first two carry what a comparison checks."""
    scores = summarize_suite(rows, livebench_as_one=suite.tasks == "guru17")
    agreed = protocol(rows, suite, split, sampling)
    for figure in scores:
        compared = figure.name in ("strict", "robust")
        run.events.emit(
            "score",
            name=figure.name,
            value=figure.value,
            fields=figure.fields | ({"protocol": agreed} if compared else {}),
        )
    return scores


def protocol(
    rows: Sequence[SuiteRow], suite: SuiteBlock, split: Split, sampling: SamplingBlock
) -> dict[str, Any]:
    """What must be alike for a comparison, the sandbox's layer included."""
    keys = sorted({row.example_id for row in rows})
    names = suite.tasks if isinstance(suite.tasks, str) else "+".join(suite.tasks)
    return {
        "task": f"{names} ({suite.source})",
        "split": split,
        "questions": len(keys),
        "data_hash": hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16],
        "prompt_hash": suite_prompt(suite.system).hash(),
        "sampling": sampling.model_dump() | {"num_samples": suite.samples},
        "grading": f"{VERSION} {rows[0].sandbox}",
        "domains": {row.task: row.domain for row in rows},
    }


def write_metrics(path: Path, stage: str, scores: Sequence[Score], began: float) -> None:
    """`metrics.json`: every score with its interval."""
    record = {
        "stage": stage,
        "scores": {score.name: {"value": score.value, **score.fields} for score in scores},
        "wall_seconds": round(time.monotonic() - began, 3),
    }
    write_whole(path, json.dumps(record, indent=2) + "\n")


def _grade(pairs: Sequence[tuple[Question, Answer]], sandbox: Sandbox, run: Run) -> Iterator[SuiteRow]:
    """Rows in the order of the pairs, journalled and sent as events; graders work side by side."""
    with ThreadPoolExecutor(_GRADED_AT_ONCE) as pool:
        rows = list(pool.map(lambda pair: graded_row(pair[0].task, pair[0].item, pair[1], sandbox), pairs))
    by_task: dict[str, list[SuiteRow]] = {}
    for row in rows:
        by_task.setdefault(row.task, []).append(row)
    for name, group in by_task.items():
        folder = run.dir / "grades"
        folder.mkdir(exist_ok=True)
        append_lines(folder / f"{name}.jsonl", [{"version": VERSION} | fields_of(row) for row in group])
    for row in rows:
        # A failed grader says nothing about the answer, and a comparison would count it.
        if row.outcome != "error":
            run.events.emit("example", key=row.key, fields=fields_of(row))
    yield from rows


def _keep_answers(pairs: Sequence[tuple[Question, Answer]], directory: Path) -> None:
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


def _answered_before(directory: Path) -> dict[str, Answer]:
    return {
        line["key"]: Answer(line["k"], line["text"], line["tokens"], line["finish_reason"] == "stop")
        for file in sorted((directory / "samples").glob("*.jsonl"))
        for line in read_lines(file)
    }


def _graded_before(directory: Path) -> dict[str, SuiteRow]:
    """Rows of this version of the graders. One that failed is tried again."""
    rows = [
        row_of(line)
        for file in sorted((directory / "grades").glob("*.jsonl"))
        for line in read_lines(file)
        if line.get("version") == VERSION and line.get("outcome") != "error"
    ]
    return {row.key: row for row in rows}
