"""Curves on a canvas: buckets to dots, smoothing, gaps where values are NaN."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from cockpit.braille import Canvas
from cockpit.scales import Scale
from store.metrics import Bucket

_EDGE = 1e-9


@dataclass(frozen=True)
class Column:
    """What falls into one column of dots: the extremes, or None in a gap."""

    x: int
    low: float | None
    high: float | None


def is_shown(bucket: Bucket, scale: Scale) -> bool:
    values = (bucket.low, bucket.high)
    if any(value is None or not math.isfinite(value) for value in values):
        return False
    return not scale.logarithmic or (bucket.low is not None and bucket.low > 0)


def columns(buckets: Sequence[Bucket], across: Scale, up: Scale, dots: int) -> list[Column]:
    """The buckets by column of dots: neighbours in one column are merged, a gap stays a gap."""
    merged: list[Column] = []
    for bucket in buckets:
        position = across.position((bucket.first_step + bucket.last_step) / 2)
        if not -_EDGE <= position <= 1 + _EDGE:
            continue  # outside of the part that is shown
        x = _dot(position, dots)
        low, high = (bucket.low, bucket.high) if is_shown(bucket, up) else (None, None)
        last = merged[-1] if merged else None
        if last and last.x == x and low is not None and high is not None and last.low is not None:
            assert last.high is not None
            merged[-1] = Column(x, min(last.low, low), max(last.high, high))
        elif not last or last.x != x or last.low is None:
            merged.append(Column(x, low, high))
    return merged


def value_at(buckets: Sequence[Bucket], place: float, half: float) -> Bucket | None:
    """What lies within `half` of a place on the axis, as one bucket; the nearest one where nothing does."""
    inside = [one for one in buckets if one.first_step <= place + half and one.last_step >= place - half]
    if not inside:
        inside = [min(buckets, key=lambda one: _distance(one, place))] if buckets else []
    if not inside:
        return None
    lows = [one.low for one in inside if one.low is not None]
    highs = [one.high for one in inside if one.high is not None]
    missing = sum(one.missing for one in inside)
    first, last = inside[0].first_step, inside[-1].last_step
    return Bucket(first, last, min(lows, default=None), max(highs, default=None), missing)


def _distance(bucket: Bucket, place: float) -> float:
    return max(bucket.first_step - place, place - bucket.last_step, 0.0)


def smoothed(buckets: Sequence[Bucket], up: Scale, steps: float) -> list[Bucket]:
    """The exponential moving average over the middles of the buckets, with a memory of `steps` steps.

    The weight of what came before shrinks with the distance in steps, so the curve does not depend on how many
    points a bucket holds. The average starts anew after a gap, and is corrected for its start (as Adam's is).
    """
    result: list[Bucket] = []
    total = weight = 0.0
    before: float | None = None
    for bucket in buckets:
        if not is_shown(bucket, up):
            total, weight, before = 0.0, 0.0, None
            result.append(bucket)
            continue
        assert bucket.low is not None and bucket.high is not None
        middle = (bucket.first_step + bucket.last_step) / 2
        keep = 0.0 if before is None else math.exp(-max(middle - before, 0.0) / steps)
        share = 1.0 if before is None else 1 - keep
        total = keep * total + share * (bucket.low + bucket.high) / 2
        weight = keep * weight + share
        before = middle
        value = total / weight if weight else (bucket.low + bucket.high) / 2
        result.append(Bucket(bucket.first_step, bucket.last_step, value, value, 0))
    return result


def draw(canvas: Canvas, points: Sequence[Column], up: Scale, paint: str, dashed: bool = False) -> None:
    """Vertical strokes from low to high, joined where neighbours do not touch."""
    before: tuple[int, int, int] | None = None
    for column in points:
        if column.low is None or column.high is None:
            before = None
            continue
        top, bottom = _row(column.high, up, canvas), _row(column.low, up, canvas)
        if not dashed or column.x % 6 < 4:
            canvas.vertical(column.x, top, bottom, paint)
            if before:
                x, upper, lower = before
                # From the nearest end of one stroke to the nearest end of the next.
                start = lower if lower < top else upper if upper > bottom else max(upper, top)
                end = top if lower < top else bottom if upper > bottom else max(upper, top)
                canvas.line(x, start, column.x, end, paint)
        before = column.x, top, bottom


def shade(canvas: Canvas, points: Sequence[Column], up: Scale, paint: str) -> None:
    """Thinly dotted from low to high, also between the points: a band behind curves, which stay to be seen."""
    for one, next_one in pairwise(points):
        if one.low is None or one.high is None or next_one.low is None or next_one.high is None:
            continue
        for x in range(one.x, next_one.x + 1):
            share = (x - one.x) / max(next_one.x - one.x, 1)
            low, high = (
                one.low + share * (next_one.low - one.low),
                one.high + share * (next_one.high - one.high),
            )
            for y in range(_row(high, up, canvas), _row(low, up, canvas) + 1):
                if x % 2 == 0 and y % 4 == x % 4:
                    canvas.dot(x, y, paint)


def _row(value: float, up: Scale, canvas: Canvas) -> int:
    return _dot(1 - up.position(value), canvas.dots_down)


def _dot(position: float, dots: int) -> int:
    return min(max(round(position * (dots - 1)), 0), dots - 1)
