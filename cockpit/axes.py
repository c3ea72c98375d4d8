"""What a curve is drawn over: steps, or what was logged at them (epochs, tokens, hours), paired by step."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cockpit.figures import number, span
from store import metrics
from store.database import Database
from store.metrics import OBSERVED, Bucket

STEP, EPOCH, TOKENS, TIME = "step", "epoch", "tokens", "time"
AXES = (STEP, EPOCH, TOKENS, TIME)
SECONDS = "seconds"
"""What the daemon samples has seconds for steps, and keeps them whatever axis is chosen."""
_SERIES = {EPOCH: ("epoch",), TOKENS: ("tokens", "num_tokens")}
_SAMPLES = 256

Table = tuple[tuple[float, float], ...]
"""(step, place on the axis), both rising; between two of them the line is straight. Empty: the steps themselves."""


@dataclass(frozen=True)
class Axis:
    """`table` says where the steps lie; `low` and `high` are the part that is shown, None is all of it."""

    name: str = STEP
    table: Table = ()
    low: float | None = None
    high: float | None = None

    def place(self, step: float) -> float:
        return _through(self.table, step)

    def step(self, place: float) -> float:
        return _through(tuple((x, step) for step, x in self.table), place)


def offered(names: Sequence[str]) -> list[str]:
    """The axes that a job's series have the data for."""
    logged = [name for name in names if not name.startswith(OBSERVED)]
    paired = [axis for axis, series in _SERIES.items() if any(name in logged for name in series)]
    return [STEP, *paired, *([TIME] if logged else [])]


def read_axis(
    database: Database, job_id: int, name: str, names: Sequence[str], first: float | None, last: float | None
) -> Axis:
    """An axis for these series of a job, between two steps. Without data for it, it is that of the steps."""
    table = _table(database, job_id, name, names, first, last)
    if not table and name != STEP:
        return Axis(STEP, (), first, last)
    axis = Axis(name, table)
    if first is None or last is None:
        return axis
    return replace(axis, low=axis.place(first), high=axis.place(last))


def placed(buckets: Sequence[Bucket], axis: Axis) -> list[Bucket]:
    """The buckets with places on the axis instead of steps."""
    if not axis.table:
        return list(buckets)
    return [
        replace(one, first_step=axis.place(one.first_step), last_step=axis.place(one.last_step))
        for one in buckets
    ]


def place_text(axis: str, place: float) -> str:
    """A place as people say it: `1,230`, `2.41`, `52.1k`, `1h 30m`."""
    if axis in (TIME, SECONDS):
        return span(place) or "0s"
    return f"{round(place):,}" if axis == STEP else number(round(place, 3))


def _table(
    database: Database, job_id: int, name: str, names: Sequence[str], first: float | None, last: float | None
) -> Table:
    if name == TIME:
        # The first of all points is where time begins, in a part of the curve too.
        for series in names:
            begin = metrics.step_times(database, job_id, series, 1)
            times = metrics.step_times(database, job_id, series, _SAMPLES, first, last)
            if begin:
                return _rising([(step, logged_at - begin[0][1]) for step, logged_at in times])
    for series in _SERIES.get(name, ()):
        buckets = metrics.chart(database, job_id, series, _SAMPLES, first, last)
        ends = [
            pair
            for one in buckets
            if one.low is not None and one.high is not None
            for pair in ((one.first_step, one.low), (one.last_step, one.high))
        ]
        if ends:
            return _rising(ends)
    return ()


def _rising(pairs: Sequence[tuple[float, float]]) -> Table:
    """Without the pairs that do not go on in both: an axis must not turn back, as a clock that was set does."""
    kept: list[tuple[float, float]] = []
    for step, place in pairs:
        if not kept or (step > kept[-1][0] and place > kept[-1][1]):
            kept.append((step, place))
    return tuple(kept)


def _through(table: Table, value: float) -> float:
    """Along the line through the pairs, and straight on outside of them."""
    if not table:
        return value
    if len(table) == 1:
        (step, place) = table[0]
        return place + (value - step) * (place / step if step else 1.0)
    index = min(max(bisect_right(table, value, key=lambda pair: pair[0]) - 1, 0), len(table) - 2)
    (x0, y0), (x1, y1) = table[index], table[index + 1]
    return y0 + (value - x0) * (y1 - y0) / (x1 - x0)
