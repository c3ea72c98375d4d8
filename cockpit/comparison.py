"""Is B really better than A? Evaluations side by side, with intervals, and paired verdicts against a baseline.

Two evaluations are compared on the same questions, answered under the same prompt and decoding; anything else is
refused with the reason. The few questions that a grader failed on in one of the two are left out of both, and counted.
One completion a question: McNemar's exact test. Several: a permutation test on the means. The p values of one table are
adjusted by Holm's method.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from engines.statistics.intervals import holm, mcnemar_exact, paired_bootstrap, paired_difference
from engines.statistics.power import questions_needed
from store import jobs, results
from store.database import Database, StoreError
from store.jobs import Job
from store.results import Score

SIGNIFICANT = 0.05
MOSTLY = 0.9
"""With fewer questions in common than this share, evaluations are not of the same questions."""
GRADERS = ("strict", "robust")
MUST_BE_ALIKE = {
    "task": "task",
    "split": "split",
    "data_hash": "set of questions",
    "prompt_hash": "prompt",
    "sampling": "decoding",
    "grading": "version of the graders",
}
"""Parts of an evaluation's protocol, and what they are in words."""


@dataclass(frozen=True)
class Entry:
    """One evaluated model. `outcomes` has right or wrong per grader, question and sample."""

    job: Job
    label: str
    scores: dict[str, Score]
    outcomes: dict[str, dict[tuple[str, int], bool]]

    @property
    def protocol(self) -> dict[str, Any]:
        """What must be alike for a comparison: task, split, items, prompt, decoding."""
        score = self.scores.get("strict")
        return score.fields.get("protocol", {}) if score else {}


@dataclass(frozen=True)
class Verdict:
    """What the numbers allow to say about `entry` against the baseline, under one grader."""

    entry: Entry
    grader: str
    n: int = 0
    only_baseline: int = 0
    """Questions that only the baseline got right (with several samples: more often right)."""
    only_entry: int = 0
    difference: float = 0.0
    """Accuracy of the entry minus that of the baseline."""
    low: float = 0.0
    high: float = 0.0
    spread: float = 0.0
    """Mean of the squared differences of a question: for one completion each, the share that ended differently."""
    p: float = 1.0
    p_adjusted: float = 1.0
    among: int = 1
    """Comparisons that p is adjusted for."""
    left_out: int = 0
    """Questions that a grader failed on in one of the two."""
    needed: int | None = None
    """Questions that would show the difference seen, were it true, four times out of five in this table; None: it is 0."""
    seeds: int = 1
    """Pairs of models behind it; with several, it is about a method and not about one model."""
    resolvable: float | None = None
    """With several seeds: the true difference that so many seeds and questions show four times out of five."""
    refused: str = ""
    """Why there is no verdict; empty when there is one."""

    @property
    def text(self) -> str:
        if self.refused:
            return f"not comparable: {self.refused}"
        if self.p_adjusted < SIGNIFICANT:
            return "better" if self.difference > 0 else "worse"
        return "no difference shown"


@dataclass(frozen=True)
class Comparison:
    """A table of entries; the first is the baseline unless another was chosen."""

    entries: tuple[Entry, ...]
    baseline: Entry
    verdicts: tuple[Verdict, ...]

    def verdict(self, entry: Entry, grader: str) -> Verdict | None:
        return next((v for v in self.verdicts if v.entry is entry and v.grader == grader), None)


def compare(database: Database, job_ids: Sequence[int], baseline_id: int | None = None) -> Comparison:
    """Compares evaluations. A job that trained a model stands for the evaluation of it."""
    loaded = [load_entry(database, job_id) for job_id in dict.fromkeys(job_ids)]
    # A training job and its evaluation, both named, are one model.
    entries = tuple({entry.job.id: entry for entry in loaded}.values())
    if not entries:
        raise StoreError("nothing to compare\nhint: name two evaluations, or an experiment")
    baseline = entries[0]
    if baseline_id is not None:
        chosen = load_entry(database, baseline_id)
        baseline = next((entry for entry in entries if entry.job.id == chosen.job.id), chosen)
        if baseline is chosen:
            entries = (chosen, *entries)
    others = [entry for entry in entries if entry is not baseline]
    verdicts: list[Verdict] = []
    for grader in GRADERS:
        verdicts += adjusted([judge(baseline, entry, grader) for entry in others])
    return Comparison(entries, baseline, tuple(verdicts))


def adjusted(judged: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of one family: their p values by Holm's method, and the questions that a test so strict needs."""
    found = [verdict for verdict in judged if not verdict.refused]
    p_values = iter(holm([verdict.p for verdict in found]))
    return [
        verdict
        if verdict.refused
        else replace(
            verdict,
            p_adjusted=next(p_values),
            among=len(found),
            needed=questions_needed(verdict.difference, verdict.spread, SIGNIFICANT / len(found)),
        )
        for verdict in judged
    ]


def jobs_of(database: Database, experiment: str | int) -> list[Job]:
    """The jobs of an experiment in the order of the recipe; of several with one name, those of the newest."""
    rows = jobs.list_jobs(database, experiment=experiment)
    if not rows:
        raise StoreError(
            f"experiment `{experiment}`: there is no such experiment\nhint: `tunedeck jobs` names them"
        )
    newest = max(job.experiment_id for job in rows)
    return [job for job in rows if job.experiment_id == newest]


def evaluations_of(database: Database, experiment: str | int) -> list[int]:
    """The finished evaluations of an experiment, in the order of the recipe."""
    mine = jobs_of(database, experiment)
    return [
        score.job_id
        for score in results.list_scores(database, [j.id for j in mine])
        if score.name == "strict"
    ]


def load_entry(database: Database, job_id: int) -> Entry:
    job, scores = find_evaluation(database, job_id)
    outcomes = {grader: results.outcomes(database, job.id, grader) for grader in GRADERS}
    return Entry(job, job.name.removesuffix("/eval"), scores, outcomes)


def find_evaluation(database: Database, job_id: int) -> tuple[Job, dict[str, Score]]:
    """The job that has scores: this one, or the evaluation of the model that it trained."""
    job = jobs.get_job(database, job_id)
    scores = {score.name: score for score in results.list_scores(database, [job_id])}
    if "strict" in scores:
        return job, scores
    evaluation = _evaluation_of(database, job)
    if evaluation is None:
        raise StoreError(
            f"job {job_id} ({job.name}): has no scores to compare\n"
            "hint: name an evaluation that has ended, or a job that was evaluated"
        )
    return find_evaluation(database, evaluation.id)


def _evaluation_of(database: Database, job: Job) -> Job | None:
    siblings = jobs.list_jobs(database, experiment=job.experiment_id)
    return next((other for other in siblings if other.name == f"{job.name}/eval" and other.is_final), None)


def judge(baseline: Entry, entry: Entry, grader: str) -> Verdict:
    """One paired test. `p_adjusted` and `needed` are set by whoever knows the whole table."""
    first, second = by_question(baseline, grader), by_question(entry, grader)
    if refused := _unlike(baseline, entry, set(first), set(second)):
        return Verdict(entry, grader, refused=refused)
    asked = sorted(first.keys() & second.keys())
    pairs = [(fmean(first[question]), fmean(second[question])) for question in asked]
    n = len(pairs)
    only_baseline = sum(a > b for a, b in pairs)
    only_entry = sum(b > a for a, b in pairs)
    difference, spread = fmean(b - a for a, b in pairs), fmean((b - a) ** 2 for a, b in pairs)
    if all(len(samples[question]) == 1 for samples in (first, second) for question in asked):
        low, high = paired_difference(only_baseline, only_entry, n)
        p = mcnemar_exact(only_baseline, only_entry)
    else:
        low, high, p = paired_bootstrap([b - a for a, b in pairs])
    left_out = len(first.keys() | second.keys()) - n
    return Verdict(
        entry, grader, n, only_baseline, only_entry, difference, low, high, spread, p, p, left_out=left_out
    )


def by_question(entry: Entry, grader: str) -> dict[str, list[bool]]:
    """Right or wrong for each completion of a question."""
    questions: dict[str, list[bool]] = {}
    for (question, _sample), right in entry.outcomes[grader].items():
        questions.setdefault(question, []).append(right)
    return questions


def _unlike(baseline: Entry, entry: Entry, first: set[str], second: set[str]) -> str:
    """What makes two evaluations incomparable, or nothing."""
    if refused := unlike_protocols(baseline.protocol, entry.protocol):
        return refused
    if first != second and not only_graders_failed([(first, baseline.scores), (second, entry.scores)]):
        return f"they answered different questions ({len(first & second)} of {len(first | second)} in common)"
    return "" if first else "there are no examples"


def only_graders_failed(evaluations: Sequence[tuple[Collection[str], Mapping[str, Score]]]) -> bool:
    """Whether (questions, scores) of evaluations differ in no more than a few questions that a grader failed on."""
    asked = {question for questions, _ in evaluations for question in questions}
    common = asked.intersection(*(questions for questions, _ in evaluations))
    lacking = [scores for questions, scores in evaluations if len(questions) < len(asked)]
    reported = all("grader_errors" in scores and scores["grader_errors"].value for scores in lacking)
    return bool(lacking) and reported and len(common) >= MOSTLY * len(asked)


def unlike_protocols(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """The first part of two protocols that differs and must not, or nothing."""
    for key, word in MUST_BE_ALIKE.items():
        if ours.get(key) != theirs.get(key):
            hint = "; `tunedeck regrade` grades stored completions again" if key == "grading" else ""
            return f"the {word} differs ({_short(ours.get(key))} and {_short(theirs.get(key))}){hint}"
    return ""


def _short(value: Any) -> str:
    text = "none named" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
