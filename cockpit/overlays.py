"""Training curves of several models in one chart: which job trained what, and its metrics by the names of the models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cockpit.comparison import Entry
from cockpit.job_diff import sources_of
from cockpit.messages import OverlayRead
from store import metrics
from store.database import Database
from store.jobs import Job

SHARED = (
    ("loss", "eval_loss", "lm_loss"),
    ("dev_accuracy_strict", "validation_reward_mean", "train_reward_mean", "mean_domains", "strict"),
)
"""A chart each: the first of these metrics that most models have."""

MOST_MODELS = 8


@dataclass(frozen=True)
class OverlayReader:
    """Reads the curves of these models; those of more than MOST_MODELS are left out."""

    models: tuple[tuple[str, Job], ...]
    """What a model is called, and the job of its evaluation."""
    width: int

    def __call__(self, database: Database) -> OverlayRead:
        trained = {label: _trained_by(database, job) for label, job in self.models}
        series = {
            label: {one.name: one.last_value for one in metrics.list_series(database, [job.id])}
            for label, job in trained.items()
            if job is not None
        }
        charts = {}
        for names in SHARED:
            metric = max(names, key=lambda name: sum(name in one for one in series.values()))
            having = [label for label, one in series.items() if metric in one]
            if having:
                jobs = {label: trained[label] for label in having}
                charts[metric] = {
                    label: metrics.chart(database, job.id, metric, self.width)
                    for label, job in jobs.items()
                    if job is not None
                }
        last = {metric: {label: series[label][metric] for label in of} for metric, of in charts.items()}
        return OverlayRead(charts, last, [label for label, _ in self.models if label not in series])


def overlay_of(entries: Sequence[Entry], width: int) -> OverlayReader:
    """For the first entries, each under a name of its own."""
    labels: dict[str, Job] = {}
    for entry in entries[:MOST_MODELS]:
        label = entry.label if entry.label not in labels else f"{entry.label} #{entry.job.id}"
        labels[label] = entry.job
    return OverlayReader(tuple(labels.items()), width)


def _trained_by(database: Database, job: Job) -> Job | None:
    """The job whose curves are this model's: itself, or the nearest that its model comes from and that logged any."""
    seen: set[int] = set()
    while job.id not in seen:
        seen.add(job.id)
        if any(series.length for series in metrics.list_series(database, [job.id])):
            return job
        sources: Mapping[str, Job] = sources_of(database, job)
        if "model" not in sources:
            return None
        job = sources["model"]
    return None
