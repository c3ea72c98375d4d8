"""The rounds of a Think-Prune-Train job, and what a job that collects traces says of itself."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.comparison import GRADERS, SIGNIFICANT
from cockpit.report.evaluations import Experiment
from engines.statistics.intervals import holm
from store.jobs import Job
from store.results import Score

_ROUND = re.compile(r"r(\d+)/(.+)")
_SAMPLED = re.compile(r"(pass|maj|avg)@(\d+)")


@dataclass(frozen=True)
class Round:
    """One evaluated round; 0 is the start."""

    number: int
    scores: dict[str, Score]
    """By the names of an evaluation's scores."""
    verdicts: dict[str, str]
    """By grader: the round against round 0. Empty for round 0, and where the job did not say."""
    p_adjusted: dict[str, float]

    def value(self, name: str) -> float | None:
        return self.scores[name].value if name in self.scores else None

    def field(self, name: str, key: str) -> float | None:
        """A bound of a score's interval; None where the job reported none, or no number."""
        return finite(self.scores[name].fields.get(key)) if name in self.scores else None

    def against_start(self, grader: str) -> dict[str, Any]:
        """difference, low, high, p, wins, losses, n, as far as they are numbers; empty where the job did not say."""
        told = self.scores[grader].fields.get("against_base") if grader in self.scores else None
        found = (
            {key: told[key] for key in told if finite(told[key]) is not None}
            if isinstance(told, dict)
            else {}
        )
        return found if {"difference", "p"} <= found.keys() else {}

    @property
    def format_gap(self) -> float | None:
        strict, robust = self.value("strict"), self.value("robust")
        return None if strict is None or robust is None else robust - strict


@dataclass(frozen=True)
class Rounds:
    """A job's rounds, in order."""

    job: Job
    rounds: list[Round]

    @property
    def sampled(self) -> list[str]:
        """The pass@k, maj@k and avg@n that some round has, sorted by kind and k."""
        names = {match[0] for r in self.rounds for name in r.scores if (match := _SAMPLED.fullmatch(name))}
        kinds = ("avg", "pass", "maj")
        return sorted(
            names, key=lambda name: (kinds.index(name.partition("@")[0]), int(name.partition("@")[2]))
        )


def finite(value: object) -> float | None:
    """A number that a job reported, which may be anything."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def rounds_of(experiment: Experiment) -> list[Rounds]:
    """The jobs that report rounds."""
    found = [Rounds(job, rounds_from(experiment.scores[job.id])) for job in experiment.jobs]
    return [one for one in found if one.rounds]


def rounds_from(scores: Mapping[str, Score]) -> list[Round]:
    """The rounds that one job's scores, by name, tell of."""
    numbered: dict[int, dict[str, Score]] = {}
    for name, score in scores.items():
        if match := _ROUND.fullmatch(name):
            numbered.setdefault(int(match[1]), {})[match[2]] = score
    return _judged([Round(number, found, {}, {}) for number, found in sorted(numbered.items())])


def _judged(rounds: list[Round]) -> list[Round]:
    """The verdicts on all rounds of a job are one table, adjusted by Holm's method."""
    for grader in GRADERS:
        told = [r for r in rounds if r.against_start(grader)]
        for r, p in zip(told, holm([r.against_start(grader)["p"] for r in told]), strict=True):
            word = "better" if r.against_start(grader)["difference"] > 0 else "worse"
            r.p_adjusted[grader] = p
            r.verdicts[grader] = word if p < SIGNIFICANT else "no difference shown"
    return rounds


def traces_of(experiment: Experiment) -> list[tuple[Job, dict[str, float]]]:
    """The jobs of engine `traces` with the figures that they reported, but for their budget."""
    return [(job, figures) for job in experiment.jobs if (figures := _figures(experiment, job))]


def _figures(experiment: Experiment, job: Job) -> dict[str, float]:
    if job.engine != "traces":
        return {}
    scores: Iterable[Score] = experiment.scores[job.id].values()
    return {s.name: s.value for s in scores if s.value is not None and not s.name.startswith("budget/")}
