"""What an experiment holds: its evaluated models with their answers, and what is missing from it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cockpit.comparison import GRADERS, jobs_of, only_graders_failed, unlike_protocols
from store import jobs, results
from store.database import Database
from store.jobs import Job
from store.results import Score
from store.schema import Status

BUDGET_FIELD = "train_samples"
"""The field of a training recipe that is a budget: a matrix over it makes the points of one series."""
MOST_NOTES = 12

_CELL = re.compile(r"([^\[/]*)(?:\[(.*)\])?")


@dataclass(frozen=True)
class Evaluation:
    """One evaluated model."""

    job: Job
    """The job whose scores these are."""
    model: Job
    """The job that made the model; the evaluation itself where a base model was evaluated."""
    scores: dict[str, Score]
    questions: tuple[str, ...]
    samples: int
    shares: dict[str, list[float]]
    """For each grader, how often each question was answered right, in the order of `questions`."""

    @property
    def trained(self) -> bool:
        return self.model.engine != "eval"

    @property
    def protocol(self) -> dict[str, Any]:
        return protocol_of(self.scores)


@dataclass(frozen=True)
class Experiment:
    """One submission of a recipe, as far as it has got."""

    name: str
    jobs: list[Job]
    scores: dict[int, dict[str, Score]]
    """By job and name."""
    parents: dict[int, Job]
    """For each job that starts from another's model, that other job."""
    inputs: dict[int, list[Job]]
    """For each job, all whose outputs it takes: its model, its traces."""
    evaluations: list[Evaluation]
    protocol: dict[str, Any]
    """What all of the evaluations have in common."""
    notes: list[str]
    """What is missing or was left out, and why."""


def method_and_cell(name: str) -> tuple[str, dict[str, str]]:
    """`full` and its combination of the matrix, from `full[train_samples=256,seed=1]/eval`."""
    match = _CELL.match(name)
    assert match is not None
    pairs = re.split(r",(?=[A-Za-z_][\w.]*=)", match[2] or "")
    return match[1], dict(pair.partition("=")[::2] for pair in pairs if pair)


def protocol_of(scores: dict[str, Score]) -> dict[str, Any]:
    found = scores["strict"].fields.get("protocol") if "strict" in scores else None
    return found if isinstance(found, dict) else {}


def read_experiment(database: Database, experiment: str | int) -> Experiment:
    """Everything the report is made of. Raises StoreError when there is no such experiment."""
    mine = jobs_of(database, experiment)
    by_id = {job.id: job for job in mine}
    scores: dict[int, dict[str, Score]] = {job.id: {} for job in mine}
    for score in results.list_scores(database, list(by_id)):
        scores[score.job_id][score.name] = score
    parents: dict[int, Job] = {}
    inputs: dict[int, list[Job]] = {job.id: [] for job in mine}
    for job_id, needed, alias in jobs.links_of(database, mine[0].experiment_id):
        if alias is not None:
            inputs[job_id].append(by_id[needed])
            if alias == _source(by_id[job_id]):
                parents[job_id] = by_id[needed]
    notes = list(_unfinished(mine))
    evaluated = [job for job in mine if "strict" in scores[job.id]]
    protocol = _most_common([protocol_of(scores[job.id]) for job in evaluated])
    chosen: dict[int, Evaluation] = {}
    for job in evaluated:
        model = parents.get(job.id, job) if job.engine == "eval" else job
        if refused := unlike_protocols(protocol, protocol_of(scores[job.id])):
            notes.append(f"left out job {job.id} ({job.name}): {refused}")
        elif model.id in chosen:
            first = chosen[model.id].job
            notes.append(
                f"left out job {job.id} ({job.name}): job {first.id} ({first.name}) evaluates the same"
            )
        else:
            chosen[model.id] = _evaluation(database, job, model, scores[job.id])
    evaluations = _on_the_same_questions(list(chosen.values()), notes)
    if not evaluated:
        notes.append(
            "nothing has been evaluated yet; `eval: true` on a training job adds an evaluation of it"
        )
    return Experiment(mine[0].experiment, mine, scores, parents, inputs, evaluations, protocol, notes)


def _source(job: Job) -> str | None:
    """The job whose model a recipe starts from, as the recipe names it."""
    model = job.recipe.get("model")
    return model.get("from") if isinstance(model, dict) else None


def _evaluation(database: Database, job: Job, model: Job, scores: dict[str, Score]) -> Evaluation:
    found = results.shares(database, job.id)
    shares = {"strict": found.strict, "robust": found.robust}
    assert set(shares) == set(GRADERS)
    return Evaluation(job, model, scores, tuple(found.questions), found.samples, shares)


def _on_the_same_questions(evaluations: list[Evaluation], notes: list[str]) -> list[Evaluation]:
    """Those with the commonest set of questions. Examples may be missing where a job was cut short."""
    if not evaluations:
        return []
    evaluations = _that_every_grader_could_grade(evaluations, notes)
    counts = Counter(e.questions for e in evaluations if e.questions)
    usual = counts.most_common(1)[0][0] if counts else ()
    for e in evaluations:
        if not e.questions:
            notes.append(f"left out job {e.job.id} ({e.job.name}): it has no examples")
        elif e.questions != usual:
            common = len(set(e.questions) & set(usual))
            notes.append(
                f"left out job {e.job.id} ({e.job.name}): it answered other questions ({common} in common)"
            )
    return [e for e in evaluations if e.questions and e.questions == usual]


def _that_every_grader_could_grade(evaluations: list[Evaluation], notes: list[str]) -> list[Evaluation]:
    """Without the few questions that a grader failed on somewhere: one such answer must not cost an arm its place."""
    asked = {question for e in evaluations for question in e.questions}
    common = asked.intersection(*(e.questions for e in evaluations))
    if not only_graders_failed([(e.questions, e.scores) for e in evaluations]):
        return evaluations
    failed = [e for e in evaluations if len(e.questions) < len(asked)]
    notes.append(
        f"left out {len(asked) - len(common)} of {len(asked)} questions everywhere: a grader failed on them in "
        f"{', '.join(f'job {e.job.id}' for e in failed)}"
    )
    return [_only(e, common) for e in evaluations]


def _only(evaluation: Evaluation, questions: set[str]) -> Evaluation:
    places = [place for place, question in enumerate(evaluation.questions) if question in questions]
    shares = {grader: [of[place] for place in places] for grader, of in evaluation.shares.items()}
    return replace(
        evaluation, questions=tuple(evaluation.questions[place] for place in places), shares=shares
    )


def _most_common(protocols: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The protocol that most evaluations are like; of several, the first."""
    likes = [sum(not unlike_protocols(one, other) for other in protocols) for one in protocols]
    return protocols[likes.index(max(likes))] if protocols else {}


def _unfinished(mine: Iterable[Job]) -> Iterable[str]:
    """A line for each job that has not succeeded; jobs that only wait are counted."""
    waiting = [job for job in mine if job.status in (Status.BLOCKED, Status.QUEUED)]
    others = [job for job in mine if job.status is not Status.SUCCEEDED and job not in waiting]
    for job in others[:MOST_NOTES]:
        why = f": {job.reason}" if job.reason and job.is_final else ""
        yield f"job {job.id} ({job.name}) is {job.status}{why}"
    if len(others) > MOST_NOTES:
        yield f"... and {len(others) - MOST_NOTES} more jobs that have not succeeded"
    if waiting:
        first = f"job {waiting[0].id} ({waiting[0].name}) waits"
        yield first if len(waiting) == 1 else f"{first}, and so do {len(waiting) - 1} more"
