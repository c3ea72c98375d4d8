"""The checkpoints of a job: how large, how good, and which of them are still there."""

import os
from dataclasses import dataclass
from pathlib import Path

from store import metrics, results
from store.database import Database

SCORED_BY = ("dev_accuracy_strict", "validation_reward_mean", "eval_loss")
"""What tells how good a checkpoint is: the first of these that was logged at its step."""


@dataclass(frozen=True)
class Checkpoint:
    """`size` in bytes is None where it was taken away to make room. Of those that are scored alike, one is the best."""

    step: int
    time: float
    size: int | None
    scored_by: str | None = None
    score: float | None = None
    best: bool = False


def read_checkpoints(database: Database, job_id: int) -> list[Checkpoint]:
    """In the order of their steps."""
    run_dir = database.run_dir(job_id)
    names = {series.name for series in metrics.list_series(database, [job_id])}
    by = next((name for name in SCORED_BY if name in names), None)
    found = []
    for artifact in results.list_artifacts(database, job_id):
        if artifact.name == "checkpoint" and artifact.step is not None:
            score = _value_at(database, job_id, by, artifact.step) if by else None
            size = size_of(run_dir / artifact.path)
            found.append((artifact.step, artifact.time, size, by if score is not None else None, score))
    values = [row[4] for row in found if row[4] is not None]
    best = None if not values else min(values) if by == "eval_loss" else max(values)
    first = next((row[0] for row in sorted(found) if best is not None and row[4] == best), None)
    return [Checkpoint(*row, best=row[0] == first) for row in sorted(found)]


def size_of(directory: Path) -> int | None:
    """Bytes of all its files; None where it is gone."""
    if not directory.is_dir():
        return directory.stat().st_size if directory.is_file() else None
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += (Path(folder) / name).stat().st_size
            except FileNotFoundError:
                continue  # it is being taken away right now
    return total


def _value_at(database: Database, job_id: int, name: str, step: int) -> float | None:
    buckets = metrics.chart(database, job_id, name, 100, step, step)
    return next((one.high for one in reversed(buckets) if one.first_step == one.last_step == step), None)
