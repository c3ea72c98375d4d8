"""What is to be drawn, for the terminal and for SVG alike: panels of lines, with intervals and reference lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cockpit.comparison import GRADERS
from cockpit.report.contents import Report
from cockpit.report.points import AXES, Point
from cockpit.report.rounds import Round, Rounds
from store.jobs import Job

MOST_INTERVALS = 4
"""With more lines than this their intervals would hide the curves; the tables have them."""


@dataclass(frozen=True)
class Dot:
    """One value at a place on the x axis, with its interval where it has one."""

    x: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """Dots from left to right."""

    name: str
    dots: Sequence[Dot]


@dataclass(frozen=True)
class Panel:
    """One frame of a plot."""

    title: str
    lines: Sequence[Line]
    references: Sequence[tuple[str, float]] = ()
    """Values without a place on the x axis, by name."""

    @property
    def with_intervals(self) -> bool:
        known = any(dot.low < dot.high for line in self.lines for dot in line.dots)
        return known and len(self.lines) <= MOST_INTERVALS


@dataclass(frozen=True)
class Plot:
    """Panels side by side, with the same axes."""

    key: str
    """A word for the name of its file."""
    title: str
    x_title: str
    intervals: str
    """What the intervals are over."""
    panels: Sequence[Panel]

    @property
    def dots(self) -> list[Dot]:
        return [dot for panel in self.panels for line in panel.lines for dot in line.dots]


def against_budget(report: Report, axis: str) -> Plot | None:
    """Accuracy against one of AXES, a panel a grader. None where fewer than two points have a place on it."""
    placed = report.placed(axis)
    if sum(map(len, placed.values())) < 2:
        return None
    panels = [
        Panel(
            f"{grader} accuracy",
            [Line(name, [_dot(p, axis, grader) for p in points]) for name, points in placed.items()],
            [(p.label, p.accuracy[grader].value) for p in report.references],
        )
        for grader in GRADERS
    ]
    return Plot(
        axis, f"{report.name}: accuracy against {AXES[axis]}", AXES[axis], "seeds and questions", panels
    )


def by_round(report: Report) -> list[Plot]:
    """For each job with rounds: accuracy and, where there were several samples a question, what they tell."""
    drawn = [_rounds_plot(report, found) for found in report.rounds]
    return [plot for plot in drawn if plot.dots]


def by_epoch(report: Report) -> list[Plot]:
    """The mean over domains of every evaluated training job, then the domains of each."""
    found = [one for one in (report.suite.evolution if report.suite else []) if len(one[1]["epochs"]) > 1]
    if not found:
        return []
    lines = [Line(job.name.removeprefix("evolution-"), _mean_dots(curves)) for job, curves in found]
    overview = Plot(
        "evolution",
        f"{report.name}: evolution",
        "epoch",
        "questions",
        [Panel("accuracy, mean over domains,", lines)],
    )
    return [overview, *(_evolution_plot(report, job, curves) for job, curves in found)]


def _mean_dots(found: dict[str, Any]) -> list[Dot]:
    return [Dot(e, v, v, v) for e, v in zip(found["epochs"], found["mean_domains"], strict=True)]


def _evolution_plot(report: Report, job: Job, found: dict[str, Any]) -> Plot:
    epochs = found["epochs"]
    domains = [
        Line(
            name,
            [
                Dot(epoch, value, low, high)
                for epoch, value, (low, high) in zip(epochs, one["values"], one["intervals"], strict=True)
            ],
        )
        for name, one in found["domains"].items()
    ]
    return Plot(
        f"evolution-{job.id}",
        f"{report.name}: {job.name}",
        "epoch",
        "questions",
        [Panel("accuracy by domain", domains), Panel("mean over domains", [Line("mean", _mean_dots(found))])],
    )


def _dot(point: Point, axis: str, grader: str) -> Dot:
    mean = point.accuracy[grader]
    return Dot(point.position(axis) or 0.0, mean.value, mean.low, mean.high)


def _rounds_plot(report: Report, found: Rounds) -> Plot:
    # The most samples of each kind say most.
    sampled = {name.partition("@")[0]: name for name in found.sampled}
    panels = [Panel("accuracy", _lines(found, GRADERS))]
    if sampled:
        panels.append(Panel("samples", _lines(found, list(sampled.values()))))
    return Plot(
        f"rounds-{found.job.id}", f"{report.name}: rounds of {found.job.name}", "round", "questions", panels
    )


def _lines(found: Rounds, names: Sequence[str]) -> list[Line]:
    lines = [Line(name, [dot for r in found.rounds if (dot := _round_dot(r, name))]) for name in names]
    return [line for line in lines if line.dots]


def _round_dot(r: Round, name: str) -> Dot | None:
    value = r.value(name)
    if value is None:
        return None
    low, high = r.field(name, "low"), r.field(name, "high")
    return Dot(r.number, value, value if low is None else low, value if high is None else high)
