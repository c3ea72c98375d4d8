"""What an experiment over a suite of tasks has shown: every arm against the baseline, by domain and by task.

The question asked first is one: has the mean over domains changed? Domains and tasks are families of their own, each
adjusted by Holm's method. All is paired on the same questions and seeds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cockpit.comparison import SIGNIFICANT
from cockpit.report.evaluations import Experiment
from cockpit.report.points import Point
from cockpit.report.suite_details import Flip, flips_of, unlike_fields
from engines.statistics.crossed import Difference
from engines.statistics.intervals import holm
from engines.statistics.macro import macro_difference, macro_mean, macro_weights
from store import metrics
from store.database import Database
from store.jobs import Job

BASELINES = ("baseline", "pooled", "equal")
"""Arms that the others are held against, where one is called so; else the first that was trained."""


@dataclass(frozen=True)
class Effect:
    """One arm against the baseline in one respect."""

    arm: str
    baseline: str
    what: str
    """`mean over domains`, a domain, or a task."""
    before: float
    after: float
    difference: Difference
    samples: int = 1
    """Answers to each question."""
    p_adjusted: float = 1.0

    @property
    def significant(self) -> bool:
        return self.p_adjusted < SIGNIFICANT

    @property
    def text(self) -> str:
        """What may be said: of a method only where several seeds were trained."""
        if not self.significant:
            return f"underpowered ({smallest_shown(self.difference)})"
        word = "better" if self.difference.value > 0 else "worse"
        return word if self.difference.seeds > 1 else f"{word}, this pair of checkpoints"


def smallest_shown(found: Difference) -> str:
    """The minimal detectable effect; two seeds that differ much could not show any."""
    if found.resolvable > 1:
        return "MDE over 100 pp: more seeds are needed"
    return f"MDE {100 * found.resolvable:.1f} pp"


@dataclass(frozen=True)
class SuiteReport:
    """The arms in the order of the recipe, and every difference from the baseline."""

    baseline: Point
    arms: list[Point]
    references: list[Point]
    """What the arms started from, where it was evaluated."""
    domains: dict[str, str]
    """Of every task."""
    tasks_of_questions: list[str]
    primary: list[Effect]
    by_domain: list[Effect]
    by_task: list[Effect]
    training: dict[str, dict[str, float]]
    """By arm: the last value of each training metric, as the mean over seeds."""
    evolution: list[tuple[Job, dict[str, Any]]]
    """Learning curves, by the job that measured them."""
    flips: list[Flip]
    """Questions on which an arm and the baseline of its first seed disagree: a few of each kind."""
    unlike: dict[str, list[str]]
    """By arm: the fields of the training recipe in which it differs from the baseline, seeds apart."""


def build_suite(database: Database, experiment: Experiment, points: Sequence[Point]) -> SuiteReport | None:
    """The comparison of an experiment's suites; None where it evaluated none, or nothing was trained."""
    trained = [p for p in points if next(iter(p.models.values())).trained and not p.is_reference]
    domains = _domains(points)
    if not trained or not domains:
        return None
    baseline = next((p for name in BASELINES for p in trained if p.method == name), trained[0])
    arms = [point for point in trained if point is not baseline]
    questions = next(iter(baseline.models.values())).questions
    tasks = [question.partition("/")[0] for question in questions]
    primary, by_domain, by_task = compare_arms(baseline, arms, tasks, domains)
    return SuiteReport(
        baseline,
        arms,
        [point for point in points if point.is_reference],
        domains,
        tasks,
        primary,
        by_domain,
        by_task,
        _last_metrics(database, [baseline, *arms]),
        [
            (job, score.fields)
            for job in experiment.jobs
            if (score := experiment.scores[job.id].get("evolution")) is not None
        ],
        [flip for arm in arms for flip in flips_of(database, baseline, arm)],
        {arm.label: unlike_fields(baseline, arm) for arm in arms},
    )


def compare_arms(
    baseline: Point, arms: Sequence[Point], tasks: Sequence[str], domains: Mapping[str, str]
) -> tuple[list[Effect], list[Effect], list[Effect]]:
    """Effects on the mean over domains, on each domain and on each task; p adjusted within each family."""
    primary, by_domain, by_task = [], [], []
    for arm in arms:
        primary += _effects(baseline, arm, tasks, domains, {"mean over domains": lambda _task: True})
        names = dict.fromkeys(domains[task] for task in tasks)
        by_domain += _effects(
            baseline, arm, tasks, domains, {name: _in_domain(name, domains) for name in names}
        )
        by_task += _effects(
            baseline, arm, tasks, domains, {task: _is_task(task) for task in dict.fromkeys(tasks)}
        )
    return _adjusted(primary), _adjusted(by_domain), _adjusted(by_task)


def _in_domain(name: str, domains: Mapping[str, str]) -> Callable[[str], bool]:
    return lambda task: domains[task] == name


def _is_task(name: str) -> Callable[[str], bool]:
    return lambda task: task == name


def _effects(
    baseline: Point,
    arm: Point,
    tasks: Sequence[str],
    domains: Mapping[str, str],
    parts: Mapping[str, Callable[[str], bool]],
) -> list[Effect]:
    seeds = sorted(baseline.models.keys() & arm.models.keys())
    if not seeds:
        return []
    samples = next(iter(arm.models.values())).samples
    effects = []
    for what, belongs in parts.items():
        places = [place for place, task in enumerate(tasks) if belongs(task)]
        first, second = (
            [[point.models[seed].shares["strict"][place] for place in places] for seed in seeds]
            for point in (baseline, arm)
        )
        weights = macro_weights([tasks[place] for place in places], domains)
        before, after = (
            sum(macro_mean(row, weights) for row in table) / len(seeds) for table in (first, second)
        )
        difference = macro_difference(first, second, weights)
        effects.append(Effect(arm.label, baseline.label, what, before, after, difference, samples))
    return effects


def _adjusted(effects: Sequence[Effect]) -> list[Effect]:
    adjusted = holm([effect.difference.p for effect in effects])
    return [replace(effect, p_adjusted=p) for effect, p in zip(effects, adjusted, strict=True)]


def _domains(points: Sequence[Point]) -> dict[str, str]:
    """The domain of every task, as the evaluations say it; empty where there is no suite."""
    found: dict[str, str] = {}
    for point in points:
        for evaluation in point.models.values():
            told = evaluation.protocol.get("domains")
            found |= told if isinstance(told, dict) else {}
    return found


def _last_metrics(database: Database, points: Sequence[Point]) -> dict[str, dict[str, float]]:
    found = {}
    for point in points:
        ids = [evaluation.model.id for evaluation in point.models.values()]
        values: dict[str, list[float]] = {}
        for series in metrics.list_series(database, ids):
            if series.last_value is not None:
                values.setdefault(series.name, []).append(series.last_value)
        found[point.label] = {name: sum(of) / len(of) for name, of in values.items() if len(of) == len(ids)}
    return found
