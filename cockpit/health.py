"""Verdicts on a job from its curves: what is wrong, where, and the numbers that say so.

Every function takes buckets of a series in order and returns a verdict or None. Each is silent where the noise does not
let it speak: a verdict that cries wolf is worse than none. Thresholds are checked by simulation in the tests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from statistics import fmean, median, stdev

from cockpit.figures import number, percent, span
from store.metrics import Bucket


class Severity(IntEnum):
    NOTE = 0
    ATTENTION = 1
    BAD = 2


GLYPHS = {Severity.NOTE: "·", Severity.ATTENTION: "▲", Severity.BAD: "✗"}


@dataclass(frozen=True)
class Verdict:
    """`kind` is a word for machines; `words` say it to people, with the evidence."""

    severity: Severity
    kind: str
    words: str
    step: float


_MAD = 1.4826
"""Of a normal distribution, the standard deviation in median absolute deviations."""
_RECENT = 20
"""Newest values that the state of a run is read from."""
_WINDOW = 50
_HUGE = 1e100


def not_finite(name: str, buckets: Sequence[Bucket]) -> Verdict | None:
    """NaN or infinite values: bad where the newest is one, to be looked at where the run has recovered."""
    broken = [one for one in buckets if one.missing or not _finite(one)]
    if not broken:
        return None
    count = sum(max(one.missing, int(not _finite(one))) for one in broken)
    now = broken[-1] is buckets[-1]
    words = f"{name} is NaN or infinite {count:,} {'time' if count == 1 else 'times'}, first near step {_step(broken[0])}"
    if not now:
        words += f", last near step {_step(broken[-1])}"
    return Verdict(Severity.BAD if now else Severity.ATTENTION, "not-finite", words, broken[0].first_step)


def spike(name: str, buckets: Sequence[Bucket]) -> Verdict | None:
    """A value far above the 50 before it: by the robust z of its logarithm, twice in a row or once very far.

    Two in a row 8 deviations and half as much again above the median, or one 12 deviations and twice as high.
    """
    points = [one for one in buckets if _usable(one) and one.high is not None and one.high > 0]
    heights = [math.log(one.high) for one in points if one.high is not None]
    calm: list[float] = []
    worst: tuple[float, int, float] | None = None
    before = False
    for index, height in enumerate(heights):
        window = calm[-_WINDOW:]
        middle, scale = _middle_and_scale(window) if len(window) >= _RECENT else (height, 1.0)
        z, rise = (height - middle) / scale, height - middle
        high = z > 8 and rise > math.log(1.5)
        told = (z > 12 and rise > math.log(2)) or (high and before)
        if told and (worst is None or height > heights[worst[1]]):
            worst = (z, index, math.exp(middle))
        before = high
        # What stands out does not become what is usual, unless it stays.
        if not high or index % 4 == 0:
            calm.append(height)
    if worst is None:
        return None
    z, index, usual = worst
    recovered = index < len(heights) - 5 and median(heights[-5:]) < math.log(usual) + math.log(1.2)
    words = (
        f"{name} spiked to {number(points[index].high)} near step {_step(points[index])},"
        f" {z:.0f} deviations above {number(usual)}{'; it has recovered' if recovered else ''}"
    )
    severity = Severity.ATTENTION if recovered else Severity.BAD
    return Verdict(severity, "spike", words, points[index].first_step)


def divergence(name: str, buckets: Sequence[Bucket]) -> Verdict | None:
    """Each of the two newest twentieths lies 15 % above the best one before them, and far outside of the noise.

    Of the noise within a twentieth (6 standard errors) and between neighbouring ones (4 deviations).
    """
    points = _even([one for one in buckets if _usable(one)])
    if len(points) < 2 * _WINDOW:
        return None
    values = [_mid(one) for one in points]
    size = max(len(values) // 20, 10)
    windows = [values[end - size : end] for end in range(len(values), size - 1, -size)]
    means = [fmean(window) for window in windows]
    best = min(range(1, len(means)), key=lambda index: means[index])
    # Of second differences, which a trend leaves alone.
    bends = [
        later - 2 * now + before for before, now, later in zip(means, means[1:], means[2:], strict=False)
    ]
    scatter = _MAD * median(map(abs, bends)) / math.sqrt(6)
    error = math.hypot(*(stdev(windows[index]) / math.sqrt(size) for index in (0, best)))
    # The window before has to be up as well: one alone is a spike.
    rise = min(means[0], means[1]) - means[best]
    if best < 2 or rise <= max(6 * error, 4 * scatter, 0.15 * abs(means[best])):
        return None
    place = points[len(points) - best * size - 1]
    words = f"{name} diverges: {number(means[0])} now, {number(means[best])} near step {_step(place)}"
    return Verdict(Severity.BAD, "divergence", words, place.last_step)


def plateau(name: str, buckets: Sequence[Bucket]) -> Verdict | None:
    """The last third is no better than the one before, and the noise is small enough to say so.

    The gain between the two thirds, plus three standard errors from means of batches (which bear with correlated
    noise), is below 2 % of all that was gained before, or half a percent of the value.
    """
    points = _even([one for one in buckets if _usable(one)])
    if len(points) < 3 * _WINDOW:
        return None
    values = [_mid(one) for one in points]
    third = len(values) // 3
    middle, last = values[-2 * third : -third], values[-third:]
    error = math.hypot(_error_by_batches(middle), _error_by_batches(last))
    gain = fmean(middle) - fmean(last)
    before = fmean(values[: max(third // 5, 1)]) - fmean(middle)
    if gain + 3 * error >= max(0.02 * before, 0.005 * abs(fmean(middle))) or gain < -6 * error:
        return None
    place = points[-third]
    words = f"{name} is no better than before since step {_step(place)}: {number(fmean(middle))} then, {number(fmean(last))} now"
    return Verdict(Severity.NOTE, "plateau", words, place.first_step)


def stays_above(
    kind: str, words: str, buckets: Sequence[Bucket], attention: float, bad: float
) -> Verdict | None:
    """The newest values of a share lie above a threshold, by three standard errors of their mean."""
    points = [one for one in buckets if _usable(one)][-_RECENT:]
    if len(points) < _RECENT:
        return None
    values = [_mid(one) for one in points]
    least = fmean(values) - 3 * stdev(values) / math.sqrt(len(values))
    if least <= attention:
        return None
    severity = Severity.BAD if least > bad else Severity.ATTENTION
    return Verdict(
        severity,
        kind,
        f"{words}: {percent(fmean(values))} since step {_step(points[0])}",
        points[0].first_step,
    )


def entropy_collapse(buckets: Sequence[Bucket]) -> Verdict | None:
    """The entropy of the policy fell below a tenth of what it began with, and below 0.1 nats."""
    points = [one for one in buckets if _usable(one)]
    if len(points) < 2 * _RECENT:
        return None
    begun = median(_mid(one) for one in points[:_RECENT])
    now = median(_mid(one) for one in points[-_RECENT:])
    if not (begun > 0 and now < min(begun / 10, 0.1)):
        return None
    words = f"the policy's entropy collapsed from {number(begun)} to {number(now)}: it explores no longer"
    return Verdict(Severity.BAD, "entropy", words, points[-_RECENT].first_step)


def length_growth(buckets: Sequence[Bucket]) -> Verdict | None:
    """Completions are twice as long as in the beginning."""
    points = [one for one in buckets if _usable(one)]
    if len(points) < 2 * _RECENT:
        return None
    begun = median(_mid(one) for one in points[:_RECENT])
    now = median(_mid(one) for one in points[-_RECENT:])
    if begun <= 0 or now < 2 * begun:
        return None
    words = f"completions grew from {number(begun)} to {number(now)} tokens, {now / begun:.1f} times as long"
    return Verdict(Severity.ATTENTION, "length", words, points[-_RECENT].first_step)


def slower(buckets: Sequence[Bucket], what: str) -> Verdict | None:
    """The newest ten values of a rate are below a third of the usual, each of them: a stall, not an odd step."""
    points = _even([one for one in buckets if _usable(one)])
    if len(points) < _WINDOW:
        return None
    recent, earlier = points[-10:], [_mid(one) for one in points[5:-10]]
    usual = median(earlier)
    if usual <= 0 or max(_mid(one) for one in recent) > usual / 3:
        return None
    now = median(_mid(one) for one in recent)
    words = f"{what} fell to {number(now)} from {number(usual)} since step {_step(recent[0])}: does it wait for data?"
    return Verdict(Severity.ATTENTION, "stall", words, recent[0].first_step)


def idle_gpu(card: str, buckets: Sequence[Bucket], seconds: float = 600.0) -> Verdict | None:
    """A card computed in none of the last ten minutes, and five minutes of start have gone by. Steps are seconds."""
    if not buckets or buckets[-1].last_step < 300 + seconds:
        return None
    end = buckets[-1].last_step
    recent = [one for one in buckets if one.first_step >= end - seconds and _usable(one)]
    highs = sorted(one.high for one in recent if one.high is not None)
    # One sample in ten may be busy: a heartbeat is no training.
    if len(highs) < 10 or highs[int(0.9 * len(highs))] >= 10:
        return None
    usual = median(_mid(one) for one in recent)
    words = f"GPU {card} has been idle for {span(seconds)}: it computes {usual:.0f}% of the time"
    return Verdict(Severity.ATTENTION, "idle-gpu", words, end - seconds)


def _finite(one: Bucket) -> bool:
    return one.low is not None and one.high is not None and math.isfinite(one.low) and math.isfinite(one.high)


def _usable(one: Bucket) -> bool:
    """Finite, and small enough to be added up."""
    return _finite(one) and max(abs(one.low or 0.0), abs(one.high or 0.0)) < _HUGE


def _mid(one: Bucket) -> float:
    assert one.low is not None and one.high is not None
    return (one.low + one.high) / 2


def _step(one: Bucket) -> str:
    return f"{round(one.first_step):,}"


def _even(points: list[Bucket]) -> list[Bucket]:
    """Without the shorter buckets at the end, whose extremes are closer together."""
    lengths = [one.last_step - one.first_step for one in points]
    usual = median(lengths) if lengths else 0
    return [one for one, length in zip(points, lengths, strict=True) if length >= usual / 2]


def _middle_and_scale(values: Sequence[float]) -> tuple[float, float]:
    """Median, and the deviation from it; never less than 2 %, so that a smooth curve may bend."""
    middle = median(values)
    return middle, max(_MAD * median(abs(value - middle) for value in values), 0.02)


def _error_by_batches(values: Sequence[float], batches: int = 10) -> float:
    size = len(values) // batches
    means = [fmean(values[index * size : (index + 1) * size]) for index in range(batches)]
    return stdev(means) / math.sqrt(batches)
