"""What an experiment over a suite of tasks has shown: every arm against the baseline, by domain and by task.

The question asked first is one: has the mean over domains changed? Domains and tasks are families of their own, each
adjusted by Holm's method. All is paired on the same questions and seeds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cockpit.comparison import SIGNIFICANT
from cockpit.report.evaluations import Experiment
from cockpit.report.points import Point
from engines.statistics.crossed import Difference
from engines.statistics.intervals import holm
from engines.statistics.macro import macro_difference, macro_mean, macro_weights
from store import metrics
from store.database import Database
from store.jobs import Job
from store.results import get_example

BASELINES = ("baseline", "pooled", "equal")
"""Arms that the others are held against, where one is called so; else the first that was trained."""
MOST_FLIPS = 5


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
class Flip:
    """A question that one of two got right."""

    arm: str
    question: str
    gained: bool
    """The arm is right where the baseline is wrong."""
    gold: str
    before: str
    after: str
    jobs: tuple[int, int]
    """Baseline's and arm's evaluation."""


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
    flips: list["Flip"]
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
        [flip for arm in arms for flip in _flips(database, baseline, arm)],
        {arm.label: _unlike(baseline, arm) for arm in arms},
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


def _flips(database: Database, baseline: Point, arm: Point) -> Iterator[Flip]:
    """The first questions of each kind in the order of their hashes: nobody picked them."""
    seed = min(baseline.models.keys() & arm.models.keys(), default=None)
    if seed is None:
        return
    first, second = baseline.models[seed], arm.models[seed]
    pairs = list(zip(first.questions, first.shares["strict"], second.shares["strict"], strict=True))
    jobs = first.job.id, second.job.id
    for gained in (False, True):
        flipped = [q for q, before, after in pairs if (after > before if gained else after < before)]
        for question in sorted(flipped, key=lambda q: q.partition("/")[2])[:MOST_FLIPS]:
            examples = [get_example(database, job, question, 0) for job in jobs]
            fields = [example.fields if example else {} for example in examples]
            said = [str(one.get("extracted") or "no answer") for one in fields]
            yield Flip(arm.label, question, gained, str(fields[0].get("gold", "")), said[0], said[1], jobs)


def _unlike(baseline: Point, arm: Point) -> list[str]:
    """Dotted fields with different values, of the models of the first common seed."""
    seed = min(baseline.models.keys() & arm.models.keys(), default=None)
    if seed is None:
        return []
    first, second = (dict(_flat(point.models[seed].model.recipe)) for point in (baseline, arm))
    return [
        f"{key}: {first.get(key)} -> {second.get(key)}"
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key)
    ]


def _flat(value: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, inner in value.items():
        name = f"{above}{key}"
        pairs += _flat(inner, f"{name}.") if isinstance(inner, dict) else [(name, inner)]
    return pairs


def recommendations(report: SuiteReport) -> list[str]:
    """Only what a significant effect supports, with its number; else that nothing is, and what would have shown."""
    lines = [
        f"{e.arm} {'raises' if e.difference.value > 0 else 'lowers'} {e.what} by {100 * e.difference.value:+.1f} pp "
        f"against {e.baseline} (95 % {100 * e.difference.low:+.1f} to {100 * e.difference.high:+.1f}, p {_p(e.p_adjusted)})."
        + (
            ""
            if e.difference.seeds > 1
            else " One seed each: this is about these two checkpoints, not the methods."
        )
        for e in [*report.primary, *report.by_domain]
        if e.significant
    ]
    quiet = [e for e in report.primary if not e.significant]
    lines += [
        f"{e.arm} against {e.baseline}: no recommendation: underpowered ({smallest_shown(e.difference)}; "
        f"seen {100 * e.difference.value:+.1f} pp, p {_p(e.p_adjusted)}).{_of_these(e.difference)}"
        for e in quiet
    ]
    return lines


def _of_these(found: Difference) -> str:
    """Few seeds say little about a method, and may still say much about the models that they gave."""
    if found.of_these is None or found.of_these[2] >= SIGNIFICANT:
        return ""
    low, high, p = found.of_these
    return (
        f" The models of these {found.seeds} seeds do differ ({100 * low:+.1f} to {100 * high:+.1f} pp over questions "
        f"alone, p {_p(p)}); those of other seeds may not."
    )


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"= {p:.4f}"
