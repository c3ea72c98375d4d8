"""How models are wrong, not only how often: ends and cut-offs beside accuracy, and kinds of mistakes side by side."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cockpit.comparison import find_evaluation
from engines.tasks.errors import CLASSES, contains, mistake
from store import results
from store.database import Database, StoreError
from store.jobs import Job

STEPS = ("1", "2", "3", "4 or later", "none")
"""Where the first wrong step is; `none`: no sum departs from the solution, or there are no sums."""


@dataclass(frozen=True)
class Analysis:
    """One evaluated model. Shares are of all completions, `mistakes` and `first_wrong` are counts of wrong ones."""

    job: Job
    label: str
    n: int
    strict: float
    robust: float
    contains: float
    """The right number stands somewhere. Far above `robust`, it is the end of the answer that differs, not the reasoning."""
    ended: float
    """Completions that ended by themselves; the others were cut off at the longest length."""
    tokens_right: float | None
    tokens_wrong: float | None
    mistakes: dict[str, int]
    first_wrong: dict[str, int]


def analyze(database: Database, job_ids: Sequence[int]) -> list[Analysis]:
    """Evaluations in this order; a job that trained a model stands for the evaluation of it. Raises StoreError."""
    found = {job.id: job for job in (find_evaluation(database, job_id)[0] for job_id in job_ids)}
    if not found:
        raise StoreError("nothing to analyze\nhint: name an evaluation, or an experiment with --experiment")
    return [_analysis(database, job) for job in found.values()]


def _analysis(database: Database, job: Job) -> Analysis:
    rows = [example.fields for example in results.list_examples(database, job.id)]
    try:
        mistakes = [found for row in rows if (found := mistake(row)) is not None]
        lengths: dict[bool, list[int]] = {True: [], False: []}
        for row in rows:
            lengths[row["robust"]].append(row["tokens"])
        kinds, steps = Counter(m.kind for m in mistakes), Counter(_step(m.first_wrong_step) for m in mistakes)
        return Analysis(
            job=job,
            label=job.name.removesuffix("/eval"),
            n=len(rows),
            strict=fmean(row["strict"] for row in rows),
            robust=fmean(row["robust"] for row in rows),
            contains=fmean(contains(row["completion"], row["gold"]) for row in rows),
            ended=fmean(row["terminated"] for row in rows),
            tokens_right=fmean(lengths[True]) if lengths[True] else None,
            tokens_wrong=fmean(lengths[False]) if lengths[False] else None,
            mistakes={kind: kinds[kind] for kind in CLASSES},
            first_wrong={step: steps[step] for step in STEPS},
        )
    except (KeyError, ValueError) as error:  # no examples, or not those of a task with worked solutions
        reason = (
            f"its examples have no field {error}" if isinstance(error, KeyError) else "it has no examples"
        )
        raise StoreError(
            f"job {job.id} ({job.name}): cannot be analyzed: {reason}\nhint: name a finished evaluation"
        ) from error


def _step(number: int | None) -> str:
    return STEPS[-1] if number is None else STEPS[min(number, 4) - 1]
