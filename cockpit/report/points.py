"""The points of a report: models that differ in nothing but their seed, and what they cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from cockpit.comparison import GRADERS
from cockpit.report.evaluations import BUDGET_FIELD, Evaluation, Experiment, method_and_cell
from engines.statistics.crossed import Mean, mean_over
from store.jobs import Job

AXES = {
    "samples": "training samples",
    "generated_tokens": "generated tokens",
    "trained_tokens": "trained tokens",
    "seconds": "seconds of training",
}
"""What accuracy can be drawn against."""

COSTS = ("prompts", "completions", "generated_tokens", "trained_tokens", "steps", "seconds")
"""What training jobs say they used, as the scores `budget/...`."""


@dataclass(frozen=True)
class Point:
    """One method at one budget. Costs are means over the seeds, beyond the model that the training started from."""

    series: str
    """The method, with the values of a matrix over anything but seed and budget."""
    samples: float | None
    """Training samples; None for a model that was not trained."""
    models: dict[int, Evaluation]
    """By seed."""
    accuracy: dict[str, Mean]
    """By grader."""
    costs: dict[str, float]
    """By name; what some seed lacks is left out."""
    is_reference: bool
    """Drawn as a line: a model without a budget, or the one that others start from."""

    @property
    def method(self) -> str:
        """The job of the recipe, without its combination of the matrix."""
        return method_and_cell(next(iter(self.models.values())).model.name)[0]

    @property
    def label(self) -> str:
        of_series = self.samples is not None and not self.is_reference
        return f"{self.series} {self.samples:g}" if of_series else self.series

    @property
    def n(self) -> int:
        return self.accuracy["strict"].n

    @property
    def format_gap(self) -> float:
        """Answers that are right but not in the format, as a share of all."""
        return self.accuracy["robust"].value - self.accuracy["strict"].value

    def mean(self, name: str) -> float | None:
        """The mean of some score over the seeds that have it."""
        values = [m.scores[name].value for m in self.models.values() if name in m.scores]
        known = [value for value in values if value is not None]
        return fmean(known) if known else None

    def position(self, axis: str) -> float | None:
        return self.samples if axis == "samples" else self.costs.get(axis)


def points_of(experiment: Experiment) -> list[Point]:
    """In the order of the recipe; within a series by budget."""
    groups: dict[tuple[str, float | None], dict[int, Evaluation]] = {}
    for evaluation in experiment.evaluations:
        job = evaluation.model
        key = _series(job), _samples(experiment, evaluation)
        seeds = groups.setdefault(key, {})
        seed = job.recipe.get("seed", 0)
        if seed in seeds:
            experiment.notes.append(
                f"left out job {job.id} ({job.name}): it is like job {seeds[seed].model.id}"
            )
        else:
            seeds[seed] = evaluation
    starts = {
        parent.id for e in experiment.evaluations if e.trained for parent in _parent(experiment, e.model)
    }
    sizes: dict[str, int] = {}
    for series, _ in groups:
        sizes[series] = sizes.get(series, 0) + 1
    points = []
    for (series, samples), models in groups.items():
        models = dict(sorted(models.items()))
        first = next(iter(models.values()))
        is_start = sizes[series] == 1 and any(e.model.id in starts for e in models.values())
        reference = not first.trained or first.model.recipe.get("stage") == "prep" or is_start
        points.append(_point(experiment, series, samples, models, reference))
    order = list(dict.fromkeys(point.series for point in points))
    return sorted(points, key=lambda p: (order.index(p.series), p.samples or 0.0))


def _point(
    experiment: Experiment, series: str, samples: float | None, models: dict[int, Evaluation], reference: bool
) -> Point:
    most = max(e.samples for e in models.values())
    accuracy = {grader: mean_over([e.shares[grader] for e in models.values()], most) for grader in GRADERS}
    costs = {}
    for name in COSTS:
        found = [_spent(experiment, e.model, name) for e in models.values() if e.trained]
        known = [value for value in found if value is not None]
        if known and len(known) == len(models):
            costs[name] = fmean(known)
    return Point(series, samples, models, accuracy, costs, reference)


def _series(job: Job) -> str:
    """`full`, or `full[learning_rate=0.001]` where the matrix has more than seeds and budgets."""
    method, cell = method_and_cell(job.name)
    rest = [f"{key}={value}" for key, value in cell.items() if key not in ("seed", BUDGET_FIELD)]
    return method + (f"[{','.join(rest)}]" if rest else "")


def _samples(experiment: Experiment, evaluation: Evaluation) -> float | None:
    """What the recipe asked for, else what the job says that it used."""
    if not evaluation.trained:
        return None
    asked = evaluation.model.recipe.get(BUDGET_FIELD)
    used = _cost(experiment, evaluation.model, "prompts")
    return float(asked) if isinstance(asked, int) else used


def _spent(experiment: Experiment, job: Job, name: str) -> float | None:
    """What a model cost beyond the one it started from: its training, and the jobs that made its training data."""
    if name == "prompts":
        return _cost(experiment, job, name)
    start = experiment.parents.get(job.id)
    paid = {} if start is None else {start.id: start} | _upstream(experiment, start)
    spent = [j for j in ({job.id: job} | _upstream(experiment, job)).values() if j.id not in paid]
    costs = [_cost(experiment, one, name) for one in spent]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _upstream(experiment: Experiment, job: Job) -> dict[int, Job]:
    """Every job whose output went into this one's, near or far."""
    found: dict[int, Job] = {}
    for needed in experiment.inputs[job.id]:
        found |= {needed.id: needed} | _upstream(experiment, needed)
    return found


def _cost(experiment: Experiment, job: Job, name: str) -> float | None:
    score = experiment.scores[job.id].get(f"budget/{name}")
    return score.value if score else None


def _parent(experiment: Experiment, job: Job) -> Iterator[Job]:
    if job.id in experiment.parents:
        yield experiment.parents[job.id]


def references_of(experiment: Experiment, point: Point) -> dict[int, Evaluation]:
    """For each seed the nearest evaluated model that its own was trained from; at last the evaluated base model."""
    by_model = {e.model.id: e for e in experiment.evaluations}
    untrained = [e for e in experiment.evaluations if not e.trained]
    found: dict[int, Evaluation] = {}
    for seed, evaluation in point.models.items():
        job = evaluation.model
        if not evaluation.trained:
            continue
        while (parent := experiment.parents.get(job.id)) is not None and parent.id not in by_model:
            job = parent
        if parent is not None:
            found[seed] = by_model[parent.id]
        elif base := next((e for e in untrained if _base(e.model) == _base(job)), None):
            found[seed] = base
    return found


def _base(job: Job) -> object:
    """What a model is made from, where it comes from no other job."""
    model = job.recipe.get("model")
    return (model.get("base"), model.get("revision")) if isinstance(model, dict) else None
