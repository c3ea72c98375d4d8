"""Grading stored completions again with today's graders, without the model that wrote them.

The new facts are appended to the job's `events.jsonl` like those of a worker, and recorded in one transaction with the
offset moved behind them: the database can still be rebuilt from the run directory, and a crash between the two leaves
lines that the next regrading finds and outdoes.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cockpit.comparison import find_evaluation
from cockpit.grading_again import Again, grade_suite
from engines import events
from engines.prompts.spec import PromptSpec
from engines.tasks.grading import GRADERS, VERSION
from engines.tasks.scored import from_fields, regraded
from engines.tasks.summary import summarize
from store import records, results
from store.database import Database, StoreError
from store.jobs import Job
from store.results import Score, ScoredExample

MARK = "regraded"
"""A field of the events that a regrading appends: the version of the graders."""


@dataclass(frozen=True)
class Flips:
    """One grader's change of mind: its accuracy before and now, and the keys of the completions it judges anew."""

    before: float | None
    now: float
    gained: list[str]
    lost: list[str]
    new: bool
    """The completions had no grade of this grader before."""


@dataclass(frozen=True)
class Regrading:
    """What grading a job's completions again changes."""

    job: Job
    completions: int
    changed: int
    """Completions with any change, be it only in how the answer was found."""
    version: int | str | None
    """The version of the graders before."""
    now: int | str
    """Their version now."""
    flips: dict[str, Flips]
    is_due: bool
    """Whether anything differs from what is stored."""

    @property
    def gist(self) -> str:
        """One line for the audit log."""
        before, now = self.flips["strict"].before, self.flips["strict"].now
        old = "" if before is None else f"{before:.1%} to "
        return (
            f"graded again with version {self.now} of the graders (before: {self.version}): {self.changed} of "
            f"{self.completions} completions changed, strict {old}{now:.1%}"
        )


def regrade(database: Database, job_id: int, *, dry_run: bool = False) -> Regrading:
    """Grades a job's stored completions, and stores what has changed unless `dry_run`. Raises StoreError where it cannot."""
    job, scores = find_evaluation(database, job_id)
    if not job.is_final:
        raise StoreError(f"job {job.id} ({job.name}): is {job.status}\nhint: wait until it has ended")
    protocol = dict(scores["strict"].fields.get("protocol") or {})
    stored = results.list_examples(database, job.id)
    again = grade_suite(database, job, stored) if job.recipe.get("suite") else _grade_task(job, stored)
    questions = len({example.example_id for example in again.stored})
    if questions != protocol.get("questions", questions) or not again.stored:
        asked = protocol.get("questions", "its")
        raise StoreError(f"job {job.id} ({job.name}): has completions of {questions} of {asked} questions")
    figures = {figure.name: figure for figure in again.figures}
    pairs = list(zip(again.stored, again.fields, strict=True))
    flips = {
        grader: _flips(grader, pairs, scores.get(grader), figures[grader].value) for grader in again.graders
    }
    changed = [i for i, (old, new) in enumerate(pairs) if old.fields != new]
    is_due = (
        bool(changed)
        or protocol.get("grading") != again.version
        or not all(name in scores and _same(scores[name].value, f.value) for name, f in figures.items())
    )
    done = Regrading(job, len(pairs), len(changed), protocol.get("grading"), again.version, flips, is_due)
    if dry_run or not is_due:
        return done
    protocol["grading"] = again.version
    new_scores: list[dict[str, Any]] = [
        {
            "kind": "score",
            "name": figure.name,
            "value": figure.value,
            "fields": figure.fields | ({"protocol": protocol} if figure.name in again.graders else {}),
        }
        for figure in again.figures
    ]
    # What a grader could not grade says nothing about the answer: it stays out of every comparison.
    new_examples = [
        {"kind": "example", "key": old.key, "fields": new} if new.get("outcome") != "error" else None
        for old, new in pairs
    ]
    _store(database, job, new_examples, changed, new_scores, done)
    return done


def _grade_task(job: Job, stored: list[ScoredExample]) -> Again:
    if "prompt" not in job.recipe:
        raise StoreError(
            f"job {job.id} ({job.name}): its recipe has no `prompt`, so its answers cannot be found"
        )
    spec = PromptSpec.model_validate(job.recipe["prompt"])
    try:
        fields = [regraded(example.fields, spec) for example in stored]
        figures = summarize([from_fields(one) for one in fields]) if fields else []
    except KeyError as error:
        raise StoreError(
            f"job {job.id} ({job.name}): its examples have no {error}, so they cannot be graded"
        ) from error
    return Again(stored, fields, figures, GRADERS, VERSION)


def _flips(
    grader: str, pairs: list[tuple[ScoredExample, dict[str, Any]]], old: Score | None, now: float
) -> Flips:
    judged = [(e.key, e.fields.get(grader), new[grader]) for e, new in pairs]
    gained = [key for key, before, after in judged if before is False and after]
    lost = [key for key, before, after in judged if before is True and not after]
    return Flips(
        old.value if old else None, now, gained, lost, all(before is None for _, before, _ in judged)
    )


def _same(old: float | None, new: float) -> bool:
    return old is not None and math.isclose(old, new, rel_tol=1e-12, abs_tol=1e-12)


def _store(
    database: Database,
    job: Job,
    new_examples: list[dict[str, Any] | None],
    changed: list[int],
    new_scores: list[dict[str, Any]],
    done: Regrading,
) -> None:
    path = database.run_dir(job.id) / events.FILE_NAME
    unread = _unread(path, job)
    # After an interrupted regrading the file may say what the database does not: then all is said again.
    chosen = new_examples if unread else [new_examples[index] for index in changed]
    examples = [event for event in chosen if event is not None]
    wanted = [*examples, *new_scores, {"kind": "message", "level": "info", "text": done.gist}]
    end, said = _append(path, wanted, done.now)
    torn = sum(event is None for event in unread)
    records.record(database, job.id, job.events_offset, end, said, unreadable=torn, amendment=done.gist)


def _unread(path: Path, job: Job) -> list[dict[str, Any] | None]:
    """What the file holds behind the recorded events: half a line of a killed writer, or lines of ours."""
    try:
        with path.open("rb") as file:
            file.seek(job.events_offset)
            data = file.read()
    except FileNotFoundError as error:
        raise StoreError(
            f"job {job.id} ({job.name}): its run directory is gone, so nothing can be added to it"
        ) from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    found = list(events.parse(data.splitlines()))
    if any(event is not None and MARK not in event for event in found):
        raise StoreError(
            f"job {job.id} ({job.name}): has events that are not recorded yet\nhint: `tunedeck up`"
        )
    return found


def _append(path: Path, wanted: list[dict[str, Any]], version: int | str) -> tuple[int, list[dict[str, Any]]]:
    """Writes events behind the others, safe from a power cut. Returns where they end, and what was written."""
    try:
        writer = events.EventWriter(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
    start = path.stat().st_size
    for event in wanted:
        writer.emit(**event | {MARK: version})
    writer.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())
        file.seek(start)
        lines = file.read().splitlines()
    said = [event for event in events.parse(lines) if event is not None]
    if len(said) != len(wanted):
        raise StoreError(
            f"{path}: only a part could be written; nothing was changed\nhint: make room on the disk"
        )
    return path.stat().st_size, said
