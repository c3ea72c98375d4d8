"""How long jobs may take, from what like ones took: same engine and model, else same engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from cockpit.figures import span
from store import jobs
from store.database import Database
from store.schema import Status

MOST_RUNS = 2000
"""Newest jobs that are looked at."""


@dataclass(frozen=True)
class Estimate:
    """Seconds that past runs took. Data and lengths may have been others: it is an order of magnitude."""

    runs: int
    median: float
    low: float
    high: float
    same_model: bool

    @property
    def words(self) -> str:
        what = "same engine and model" if self.same_model else "same engine, other models"
        spread = f" ({span(self.low)} to {span(self.high)})" if self.runs > 1 else ""
        return f"about {span(self.median)}{spread}, {self.runs} past run{'s' * (self.runs > 1)}, {what}"


@dataclass(frozen=True)
class PastRuns:
    """Seconds of runs that succeeded at their first attempt: a resumed one was not timed from its start."""

    seconds: list[tuple[str, str, float]]
    """Engine, model, seconds."""

    def estimate(self, engine: str, recipe: dict[str, Any]) -> Estimate | None:
        """None where no job of this engine has succeeded yet."""
        model = _model(recipe)
        alike = [seconds for e, m, seconds in self.seconds if (e, m) == (engine, model)]
        found = alike or [seconds for e, _, seconds in self.seconds if e == engine]
        if not found:
            return None
        return Estimate(len(found), median(found), min(found), max(found), bool(alike))


def past_runs(database: Database) -> PastRuns:
    done = jobs.list_jobs(database, statuses=[Status.SUCCEEDED], limit=MOST_RUNS)
    return PastRuns(
        [
            (job.engine, _model(job.recipe), job.ended_at - job.started_at)
            for job in done
            if job.attempt == 1 and job.started_at is not None and job.ended_at is not None
        ]
    )


def total_words(estimates: Sequence[Estimate | None]) -> str:
    """All jobs one after the other, and how many of them nothing is known of."""
    known = [estimate for estimate in estimates if estimate is not None]
    unknown = len(estimates) - len(known)
    if not known:
        return "no past runs to estimate the time from"
    middle, low, high = (sum(getattr(one, name) for one in known) for name in ("median", "low", "high"))
    rest = f", and {unknown} without past runs" if unknown else ""
    return f"about {span(middle)} one after the other ({span(low)} to {span(high)}){rest}"


def _model(recipe: dict[str, Any]) -> str:
    """What the model starts from. Models from other jobs are alike: nothing better is known before they are made."""
    block = recipe.get("model")
    if not isinstance(block, dict):
        return ""
    return "from another job" if block.get("from") else str(block.get("base"))
