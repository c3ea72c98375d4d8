"""A report as data: what an experiment has shown, before anybody draws or writes it."""

from dataclasses import asdict, dataclass
from typing import Any

from cockpit.comparison import GRADERS
from cockpit.cosine_map import CosineMap, read_cosine_map
from cockpit.heat_maps import HeatMap, read_heat_maps
from cockpit.report import rounds, verdicts
from cockpit.report.evaluations import read_experiment
from cockpit.report.grid import Grid, grids_of
from cockpit.report.points import AXES, COSTS, Point, points_of
from cockpit.report.rounds import Rounds
from cockpit.report.suite import SuiteReport, build_suite
from cockpit.report.suite_json import suite_json
from cockpit.report.verdicts import Verdict
from store.database import Database
from store.jobs import Job


@dataclass(frozen=True)
class Report:
    """Points in the order of the recipe, and what they allow to say."""

    name: str
    protocol: dict[str, Any]
    points: list[Point]
    against_references: list[Verdict]
    between_methods: list[Verdict]
    grids: list[Grid]
    heat_maps: list[tuple[int, HeatMap]]
    """Of searches for a steering, by job."""
    cosines: list[tuple[int, CosineMap]]
    """Between the gradients of tasks, by job."""
    rounds: list[Rounds]
    traces: list[tuple[Job, dict[str, float]]]
    suite: SuiteReport | None
    """The arms of an experiment over a suite of tasks."""
    notes: list[str]

    @property
    def references(self) -> list[Point]:
        return [point for point in self.points if point.is_reference]

    @property
    def series(self) -> dict[str, list[Point]]:
        """The points with a budget, by method."""
        found: dict[str, list[Point]] = {}
        for point in self.points:
            if not point.is_reference:
                found.setdefault(point.series, []).append(point)
        return found

    @property
    def axes(self) -> list[str]:
        """The axes on which some point has a place."""
        return [axis for axis in AXES if any(self.placed(axis).values())]

    def placed(self, axis: str) -> dict[str, list[Point]]:
        """The series with those of their points that have a place on an axis, in its order."""
        found = {
            name: [p for p in points if p.position(axis) is not None] for name, points in self.series.items()
        }
        return {
            name: sorted(points, key=lambda p: p.position(axis) or 0.0)
            for name, points in found.items()
            if points
        }


def build(database: Database, experiment: str | int) -> Report:
    """The report of an experiment as far as it has got. Raises StoreError when there is no such experiment."""
    found = read_experiment(database, experiment)
    points = points_of(found)
    grids = grids_of(points)
    report = Report(
        found.name,
        found.protocol,
        points,
        verdicts.against_references(found, points),
        verdicts.between_methods(points, {grid.method for grid in grids}),
        grids,
        [(job.id, one) for job in found.jobs for one in read_heat_maps(database.run_dir(job.id))],
        [(job.id, one) for job in found.jobs if (one := read_cosine_map(database.run_dir(job.id)))],
        rounds.rounds_of(found),
        rounds.traces_of(found),
        build_suite(database, found, points),
        found.notes,
    )
    report.notes.extend(_missing_axes(report))
    return report


def _missing_axes(report: Report) -> list[str]:
    """Which points have no place on which axis, named."""
    notes = []
    everything = [point for points in report.series.values() for point in points]
    for axis, title in AXES.items():
        without = [point.label for point in everything if point.position(axis) is None]
        if without and len(without) == len(everything):
            notes.append(f"no plot against {title}: no job reports them")
        elif without:
            names = ", ".join(without[:4]) + (", ..." if len(without) > 4 else "")
            notes.append(f"not in the plot against {title}, which they do not report: {names}")
    return notes


def as_json(report: Report) -> dict[str, Any]:
    """Everything, as `--json` prints it."""
    return {
        "experiment": report.name,
        "protocol": report.protocol,
        "points": [
            {
                "label": point.label,
                "series": point.series,
                "reference": point.is_reference,
                "jobs": {str(seed): e.job.id for seed, e in point.models.items()},
                "samples": point.samples,
                "budget": {name: point.costs.get(name) for name in COSTS},
                "accuracy": {grader: asdict(mean) for grader, mean in point.accuracy.items()},
                "format_gap": point.format_gap,
            }
            for point in report.points
        ],
        "against_references": [_verdict_json(verdict) for verdict in report.against_references],
        "between_methods": [_verdict_json(verdict) for verdict in report.between_methods],
        "grids": [
            {
                "method": grid.method,
                "rows": {grid.row_field: list(grid.rows)},
                "columns": {grid.column_field: list(grid.columns)},
                **{
                    grader: [[grid.values(grader).get((r, c)) for c in grid.columns] for r in grid.rows]
                    for grader in GRADERS
                },
            }
            for grid in report.grids
        ],
        "rounds": [
            {
                "job": found.job.id,
                "name": found.job.name,
                "rounds": [
                    {
                        "round": r.number,
                        "scores": {n: {"value": s.value, **s.fields} for n, s in r.scores.items()},
                        "verdicts": r.verdicts,
                        "p_adjusted": r.p_adjusted,
                    }
                    for r in found.rounds
                ],
            }
            for found in report.rounds
        ],
        "traces": [{"job": job.id, "name": job.name, **figures} for job, figures in report.traces],
        "suite": suite_json(report.suite) if report.suite else None,
        "notes": report.notes,
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "point": verdict.point.label,
        "against": verdict.against,
        "grader": verdict.grader,
        "verdict": verdict.text,
        "sentence": verdict.sentence,
        "p_adjusted": verdict.p_adjusted,
        "seeds_left_out": verdict.left_out,
        "difference": asdict(verdict.difference) if verdict.difference else None,
        "decomposition": asdict(verdict.decomposition) if verdict.decomposition else None,
    }
