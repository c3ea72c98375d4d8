"""What became of a model while it was trained: learning curves by domain, when to stop, what was overfitted, what forgotten.

Every checkpoint has answered the same questions, so epochs are compared in pairs. A best epoch is the earliest within one
standard error of the largest value (Breiman et al. 1984): the largest itself is mostly noise. With fewer than three
checkpoints there are values and no claims.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pvariance
from typing import Any

from engines.statistics.crossed import LEVEL, paired
from engines.statistics.intervals import holm, wilson
from engines.statistics.macro import macro_weights
from engines.suite.rows import SuiteRow
from engines.suite.summary import clustered_interval

WINDOW = 3
"""Checkpoints that a slope is taken over."""
_FEWEST = 3


@dataclass(frozen=True)
class Point:
    """A checkpoint and its graded answers."""

    epoch: int
    rows: Sequence[SuiteRow]


@dataclass(frozen=True)
class Curve:
    """The accuracy of one domain over the epochs, with what is needed to compare them in pairs."""

    epochs: list[int]
    shares: list[dict[str, float]]
    """By epoch: the share of right answers to each question."""
    clusters: dict[str, str]
    tasks: dict[str, str]
    """Of every question; the tasks of a domain count alike, as in its score."""

    @property
    def values(self) -> list[float]:
        return [fmean(fmean(task) for task in self._by_task(at)) for at in range(len(self.shares))]

    def error(self, at: int) -> float:
        """The standard error of a value: questions are drawn at random, task by task."""
        by_task = self._by_task(at)
        return math.sqrt(sum(pvariance(task) / len(task) for task in by_task)) / len(by_task)

    def weighted(self, at: int) -> list[float]:
        """The questions' shares, by weights whose mean is 1, so that their plain mean is the value."""
        shares = self.shares[at]
        weights = macro_weights(
            [self.tasks[question] for question in shares], dict.fromkeys(self.tasks.values(), "")
        )
        if max(weights) - min(weights) < 1e-9:  # right and wrong stay what they are: exact tests need it
            return list(shares.values())
        return [share * weight for share, weight in zip(shares.values(), weights, strict=True)]

    def _by_task(self, at: int) -> list[list[float]]:
        found: dict[str, list[float]] = {}
        for question, share in self.shares[at].items():
            found.setdefault(self.tasks[question], []).append(share)
        return list(found.values())

    def best(self) -> int:
        """The place of the earliest value within one standard error of the largest."""
        values = self.values
        largest = max(range(len(values)), key=lambda place: (values[place], -place))
        limit = values[largest] - self.error(largest)
        return next(place for place, value in enumerate(values) if value >= limit)

    def interval(self, at: int) -> tuple[float, float]:
        shares = self.shares[at]
        by_task, error, value = self._by_task(at), self.error(at), self.values[at]
        if len({len(task) for task in by_task}) > 1 and error:
            worth = value * (1 - value) / error**2
            return wilson(value * worth, worth)
        return clustered_interval(list(shares.values()), [self.clusters[question] for question in shares])


def curves_of(points: Sequence[Point]) -> dict[str, Curve]:
    """A curve a domain, over the questions that every checkpoint has a grade for."""
    graded: list[dict[str, dict[str, list[bool]]]] = []
    clusters: dict[str, str] = {}
    tasks: dict[str, str] = {}
    for point in points:
        domains: dict[str, dict[str, list[bool]]] = {}
        for row in point.rows:
            if row.outcome != "error":
                domains.setdefault(row.domain, {}).setdefault(row.example_id, []).append(row.strict)
                clusters[row.example_id] = row.cluster
                tasks[row.example_id] = row.task
        graded.append(domains)
    names = list(dict.fromkeys(domain for domains in graded for domain in domains))
    curves = {}
    for name in names:
        common = set.intersection(*(set(domains.get(name, {})) for domains in graded))
        shares = (
            [{q: fmean(domains[name][q]) for q in sorted(common)} for domains in graded] if common else []
        )
        if shares:
            curves[name] = Curve([point.epoch for point in points], shares, clusters, tasks)
    return curves


def analyse(points: Sequence[Point], rewards: Mapping[int, float]) -> dict[str, Any]:
    """Everything that can be said, as JSON: curves with intervals, best epochs, overfitting, forgetting, regret.

    `rewards` are mean training rewards by epoch, where known: overfitting is training that still rises while the
    held-out domain falls.
    """
    curves = curves_of(points)
    if not curves:
        raise ValueError("no question has a grade at every checkpoint")
    epochs = [point.epoch for point in points]
    mean = [fmean(curve.values[place] for curve in curves.values()) for place in range(len(points))]
    found: dict[str, Any] = {"epochs": epochs, "mean_domains": mean, "domains": {}}
    found["best_epoch"] = epochs[_best_of_mean(mean, curves)]
    claims = len(points) >= _FEWEST
    found["claims"] = claims or f"no trends are claimed from {len(points)} checkpoints"
    at_best = epochs.index(found["best_epoch"])
    for name, curve in curves.items():
        found["domains"][name] = _of_domain(curve, at_best) | (
            {"suspected_overfitting": _diverges(curve, rewards)} if claims else {}
        )
    if claims:
        _judge(found["domains"], curves)
    return found


def _best_of_mean(mean: Sequence[float], curves: Mapping[str, Curve]) -> int:
    largest = max(range(len(mean)), key=lambda place: (mean[place], -place))
    error = math.sqrt(sum(curve.error(largest) ** 2 for curve in curves.values())) / len(curves)
    return next(place for place, value in enumerate(mean) if value >= mean[largest] - error)


def _of_domain(curve: Curve, at_global_best: int) -> dict[str, Any]:
    values, best = curve.values, curve.best()
    return {
        "values": values,
        "intervals": [list(curve.interval(place)) for place in range(len(values))],
        "questions": len(curve.shares[0]),
        "best_epoch": curve.epochs[best],
        "argmax_epoch": curve.epochs[values.index(max(values))],
        "regret_of_global_stop": max(values) - values[at_global_best],
        "area_under_curve": _area(curve.epochs, values),
        "epochs_to_nine_tenths": _time_to(curve, values[0] + 0.9 * (max(values) - values[0])),
    }


def _area(epochs: Sequence[int], values: Sequence[float]) -> float:
    """The mean height of the curve, by the trapezoidal rule."""
    if len(epochs) == 1:
        return values[0]
    width = [b - a for a, b in pairwise(epochs)]
    height = [(a + b) / 2 for a, b in pairwise(values)]
    return sum(w * h for w, h in zip(width, height, strict=True)) / sum(width)


def _time_to(curve: Curve, threshold: float) -> int:
    return next(epoch for epoch, value in zip(curve.epochs, curve.values, strict=True) if value >= threshold)


def _diverges(curve: Curve, rewards: Mapping[int, float]) -> bool:
    """Training still rises over the last checkpoints while this domain falls."""
    epochs = curve.epochs[-WINDOW:]
    trained = [rewards[epoch] for epoch in epochs if epoch in rewards]
    if len(trained) < WINDOW:
        return False
    return _slope(epochs, trained) > 0 > _slope(epochs, curve.values[-WINDOW:])


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of the least-squares line."""
    x, y = fmean(xs), fmean(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)


def _judge(domains: dict[str, Any], curves: Mapping[str, Curve]) -> None:
    """Paired drops from the first and from the domain's best checkpoint to the last, Holm-adjusted over the domains."""
    for key, start in (("since_start", lambda curve: 0), ("since_best", _argmax)):
        # A best was picked among the checkpoints by the same answers, the first one too: the test pays for that.
        drops = {
            name: _change(curve, start(curve), len(curve.epochs) - 1 if key == "since_best" else 1)
            for name, curve in curves.items()
        }
        adjusted = holm([drop["p"] for drop in drops.values()])
        for (name, drop), p in zip(drops.items(), adjusted, strict=True):
            domains[name][key] = drop | {"p_adjusted": p}
    for found in domains.values():
        dropped = {
            key: found[key]["difference"] < 0 and found[key]["p_adjusted"] < LEVEL
            for key in ("since_start", "since_best")
        }
        found["forgotten"] = dropped["since_start"]
        found["overfitted"] = found["suspected_overfitting"] and dropped["since_best"]


def _argmax(curve: Curve) -> int:
    return curve.values.index(max(curve.values))


def _change(curve: Curve, start: int, tried: int) -> dict[str, float]:
    """The last checkpoint against another that is one of `tried`, on the same questions."""
    change = paired([curve.weighted(start)], [curve.weighted(-1)])
    return {
        "difference": change.value,
        "low": change.low,
        "high": change.high,
        "p": min(1.0, change.p * tried),
    }
