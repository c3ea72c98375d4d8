"""A curve in words: where it began, where it is, its extremes, where it is going, and ten numbers instead of a picture."""

import math
from collections.abc import Sequence
from statistics import fmean

from cockpit.figures import number
from cockpit.plain.words import counted
from store.metrics import Bucket

WIDTH = 1000
"""Buckets to read: of a shorter series every point."""
PARTS = 10
_LEAST = 8
"""Points that a trend is read from: with fewer, noise makes slopes."""
_CLEAR = 3.0
"""Standard errors from which a slope is said to be one."""


def describe(name: str, buckets: Sequence[Bucket]) -> list[str]:
    """Sentences about a series, the newest value first. `buckets` as `store.metrics.chart` gives them."""
    known = [(bucket, _middle(bucket)) for bucket in buckets if _is_finite(bucket)]
    gaps = [bucket for bucket in buckets if bucket.missing or not _is_finite(bucket)]
    if not known:
        return (
            [f"{name} has only NaN or infinite values.", *_missing(gaps)]
            if gaps
            else [f"{name} has no values yet."]
        )
    first, last = known[0], known[-1]
    lowest = min((bucket for bucket, _ in known), key=_low)
    highest = max((bucket for bucket, _ in known), key=_high)
    return [
        f"{name} is now {number(last[1])}, at step {last[0].last_step:g}.",
        f"It began with {number(first[1])} at step {first[0].first_step:g}.",
        f"Lowest {number(lowest.low)} {_near(lowest)}, highest {number(highest.high)} {_near(highest)}.",
        _trend(known, max(len(known) // PARTS, _LEAST)),
        *_missing(gaps),
        _ten_numbers(known),
    ]


def _middle(bucket: Bucket) -> float:
    return (_low(bucket) + _high(bucket)) / 2


def _low(bucket: Bucket) -> float:
    return math.nan if bucket.low is None else bucket.low


def _high(bucket: Bucket) -> float:
    return math.nan if bucket.high is None else bucket.high


def _is_finite(bucket: Bucket) -> bool:
    return math.isfinite(_low(bucket)) and math.isfinite(_high(bucket))


def _near(bucket: Bucket) -> str:
    same = bucket.first_step == bucket.last_step
    return (
        f"at step {bucket.first_step:g}"
        if same
        else f"between steps {bucket.first_step:g} and {bucket.last_step:g}"
    )


def _trend(known: Sequence[tuple[Bucket, float]], count: int) -> str:
    """Least squares over the last tenth, or the last few: a slope counts where it is three standard errors from none."""
    tail = known[-count:]
    of = "last tenth" if count > _LEAST else f"last {count} points"
    where = f"Over the {of}, steps {tail[0][0].first_step:g} to {tail[-1][0].last_step:g}"
    steps, values = [float(bucket.last_step) for bucket, _ in tail], [value for _, value in tail]
    if len(tail) < _LEAST or steps[0] == steps[-1]:
        return "There are too few points to tell where it is going."
    middle, mean = fmean(steps), fmean(values)
    spread = sum((step - middle) ** 2 for step in steps)
    slope = sum((step - middle) * (value - mean) for step, value in zip(steps, values, strict=True)) / spread
    rest = sum((v - mean - slope * (s - middle)) ** 2 for s, v in zip(steps, values, strict=True))
    error = math.sqrt(rest / (len(tail) - 2) / spread)
    if abs(slope) <= _CLEAR * error or slope == 0:
        return f"{where}: no clear trend, about {number(mean)}."
    ends = [mean + slope * (step - middle) for step in (steps[0], steps[-1])]
    return f"{where}: {'falling' if slope < 0 else 'rising'}, from {number(ends[0])} to {number(ends[1])}."


def _missing(gaps: Sequence[Bucket]) -> list[str]:
    if not gaps:
        return []
    count = sum(max(bucket.missing, 1) for bucket in gaps)
    until = f", last {_near(gaps[-1])}" if len(gaps) > 1 else ""
    return [f"{counted(count, 'value')} NaN or infinite, first {_near(gaps[0])}{until}."]


def _ten_numbers(known: Sequence[tuple[Bucket, float]]) -> str:
    """The value at ten places from the first to the last, spread evenly."""
    count = min(PARTS, len(known))
    places = [round(index * (len(known) - 1) / max(count - 1, 1)) for index in range(count)]
    said = ", ".join(f"step {known[place][0].last_step:g}: {number(known[place][1])}" for place in places)
    return f"From first to last: {said}."
