"""Curves of other runs beside those of a job. Runs that differ in nothing but their seeds are one band with their mean."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from cockpit import axes
from store import jobs, metrics
from store.database import Database
from store.jobs import Job
from store.metrics import Bucket

MOST_COLUMNS = 160
"""Finer than this, twenty runs take too long to read while they go on."""
_EVERY_POINT = 1 << 40
"""So wide a chart summarises nothing."""


@dataclass(frozen=True)
class Overlay:
    """A curve of another run, or the mean of several seeds with the band from their least to their greatest."""

    label: str
    curve: list[Bucket]
    band: list[Bucket]
    last_value: float | None
    """The newest, or the mean at the newest step that the seeds share; NaN is NaN, None where they share none."""


def siblings(database: Database, job_id: int) -> list[Job]:
    """The other jobs of its experiment that have logged something."""
    job = jobs.get_job(database, job_id)
    others = [one for one in jobs.list_jobs(database, experiment=job.experiment_id) if one.id != job_id]
    logged = {series.job_id for series in metrics.list_series(database, [one.id for one in others])}
    return [one for one in others if one.id in logged]


def read_overlays(
    database: Database,
    job: Job,
    others: Sequence[int],
    names: Sequence[str],
    width: int,
    axis_name: str,
    part: tuple[float, float] | None,
) -> dict[str, list[Overlay]]:
    """For each metric, the other runs that have it; the job's own curve is part of the band of its seeds."""
    if not others:
        return {}
    width = min(width, MOST_COLUMNS)
    runs = jobs.list_jobs(database, ids=others)
    bounds = part or (None, None)
    drawn: dict[int, dict[str, list[Bucket]]] = {}
    for run in (job, *runs):
        axis = axes.read_axis(database, run.id, axis_name, names, *bounds)
        charts = {name: metrics.chart(database, run.id, name, width, *bounds) for name in names}
        if axis.name == axis_name:
            drawn[run.id] = {name: axes.placed(chart, axis) for name, chart in charts.items() if chart}
    groups = by_seed([run for run in (job, *runs) if run.id in drawn])
    found: dict[str, list[Overlay]] = {}
    for name in names:
        for group in groups:
            curves = [(run, drawn[run.id][name]) for run in group if name in drawn[run.id]]
            if len(curves) > 1:
                newest = _newest_mean(database, [run.id for run, _ in curves], name)
                found.setdefault(name, []).append(_band(curves, width, newest))
            elif curves and curves[0][0].id != job.id:
                run, curve = curves[0]
                newest = math.nan if curve[-1].high is None else curve[-1].high
                found.setdefault(name, []).append(Overlay(f"#{run.id} {run.name}", curve, [], newest))
    return found


def labelled(names: Sequence[str], overlays: Mapping[str, Sequence[Overlay]]) -> dict[str, Overlay]:
    """What a chart of these metrics shows beside them, by what it is called there."""
    beside = [(name, one) for name in names for one in overlays.get(name, ())]
    several = len({name for name, _ in beside}) > 1
    return {f"{name}, {one.label}" if several else one.label: one for name, one in beside}


def by_seed(runs: Sequence[Job]) -> list[list[Job]]:
    """Runs whose recipes are the same but for their seeds together."""
    groups: dict[str, list[Job]] = {}
    for run in runs:
        groups.setdefault(repr((run.engine, _without_seeds(run.recipe))), []).append(run)
    return list(groups.values())


def _without_seeds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_seeds(value[key]) for key in sorted(value, key=str) if key != "seed"}
    return [_without_seeds(one) for one in value] if isinstance(value, list) else value


def _newest_mean(database: Database, job_ids: Sequence[int], name: str) -> float | None:
    """The mean over runs at the newest step that all of them have logged, whatever is drawn; None without such a step.

    Looks from the newest point of the shortest run back, ever further: most runs of one recipe share that very step.
    """
    ends = [one for one in metrics.list_series(database, job_ids) if one.name == name]
    steps = [one.last_step for one in ends if one.last_step is not None]
    if len(set(steps)) == 1:
        return fmean(math.nan if one.last_value is None else one.last_value for one in ends)
    last, reach = min(steps), 0
    while True:
        runs = [_points(database, job_id, name, last - reach, last) for job_id in job_ids]
        if shared := set(runs[0]).intersection(*runs[1:]):
            return fmean(run[max(shared)] for run in runs)
        if reach > last:
            return None
        reach = 8 * reach + 8


def _points(database: Database, job_id: int, name: str, first: float, last: float) -> dict[float, float]:
    """Every value between two steps, by its step."""
    found = metrics.chart(database, job_id, name, _EVERY_POINT, first, last)
    points = {one.first_step: math.nan if one.low is None else one.low for one in found}
    return {step: value for step, value in points.items() if first <= step <= last}


def _band(curves: Sequence[tuple[Job, list[Bucket]]], width: int, newest: float | None) -> Overlay:
    first = min(curve[0].first_step for _, curve in curves)
    last = max(curve[-1].last_step for _, curve in curves)
    rows = [_columns(curve, first, last, width) for _, curve in curves]
    size = (last - first) / width or 1.0
    mean: list[Bucket] = []
    band: list[Bucket] = []
    for column in range(width):
        values = [row[column] for row in rows if column in row]
        # Where some seeds have no point, the others are not the mean of all.
        if values and len(values) == sum(column <= max(row, default=-1) for row in rows):
            place = first + (column + 0.5) * size
            mean.append(Bucket(place, place, fmean(values), fmean(values), 0))
            band.append(Bucket(place, place, min(values), max(values), 0))
    seeds = ", ".join(str(run.recipe.get("seed", f"#{run.id}")) for run, _ in curves)
    return Overlay(f"mean of seeds {seeds}", mean, band, newest)


def _columns(curve: Sequence[Bucket], first: float, last: float, width: int) -> dict[int, float]:
    """The mean of a curve in each of `width` columns that it has a value in."""
    sums: dict[int, tuple[float, int]] = {}
    scale = width / ((last - first) or 1.0)
    for one in curve:
        if one.low is not None and one.high is not None:
            column = min(int(((one.first_step + one.last_step) / 2 - first) * scale), width - 1)
            total, count = sums.get(column, (0.0, 0))
            sums[column] = total + (one.low + one.high) / 2, count + 1
    return {column: total / count for column, (total, count) in sums.items()}
