"""When the queue will be empty and when a waiting job is likely to start, from how long jobs like it have taken.

Jobs are alike when they run the same engine in experiments of one name, or with the same model and size of work; the
closest likeness of which there were at least three successes counts, else the closest with any. Their median and their
quartiles are passed through the queue as the daemon would: who is next takes the slot or the cards that are free first.
Where a job is like none that has run, nothing is promised for it, nor for what has to wait for it.

Known to be left out: that GPUs may be shared by declared memory, and that a job starts later when what it needs does.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from store.workload import Task, Workload

ENOUGH = 3
_ROUND = 60.0
"""Moments are told to the minute, and change no more often than that."""


@dataclass(frozen=True)
class Span:
    """Seconds or moments: the likely one, and from the lower to the upper quartile."""

    likely: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """In Unix seconds, to the minute. A job that is not in `starts`, and an `empty` of None, are not known."""

    empty: Span | None = None
    starts: tuple[tuple[int, Span], ...] = ()
    """By the ids of jobs."""
    ends: tuple[tuple[int, Span], ...] = ()
    """By the ids of experiments that have jobs that run or wait."""
    at: float = 0.0
    why: str = ""
    """Why it is not known when the queue will be empty."""


def durations(past: Iterable[Task]) -> Callable[[Task], Span | None]:
    """How long a job takes, from those that have succeeded; None where none was like it."""
    taken: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for task in past:
        if task.started_at is not None and task.ended_at is not None:
            for likeness in _likenesses(task):
                taken[likeness].append(task.ended_at - task.started_at)
    known = {likeness: _spread(seconds) for likeness, seconds in taken.items()}

    def of(task: Task) -> Span | None:
        found = [likeness for likeness in _likenesses(task) if likeness in taken]
        enough = [likeness for likeness in found if len(taken[likeness]) >= ENOUGH]
        return known[(enough or found)[0]] if found else None

    return of


def forecast(work: Workload, cpu_slots: int, cards: int, now: float) -> Forecast:
    """Passes the queue through its slots: as likely, and with all jobs quick or all slow."""
    length = durations(work.past)
    spans = [length(task) for task in work.waiting]
    left = [_left(task, length(task), now) for task in work.running]
    passes = []
    for pick in (_likely, _low, _high):
        seconds = [math.inf if span is None else pick(span) for span in spans]
        running = [math.inf if span is None else pick(span) for span in left]
        passes.append(_pass(work, seconds, running, cpu_slots, cards, now))
    starts = tuple(
        (task.id, span)
        for index, task in enumerate(work.waiting)
        if (span := _rounded(*(one.starts[index] for one in passes))) is not None
    )
    ends = tuple(
        (experiment, span)
        for experiment in passes[0].ends
        if (span := _rounded(*(one.ends[experiment] for one in passes))) is not None
    )
    empty = _rounded(*(max([now, *one.ends.values()]) for one in passes))
    return Forecast(empty, starts, ends, round(now / _ROUND) * _ROUND, "" if empty else _why(spans, left))


@dataclass
class _Pass:
    """What one pass through the queue found; infinity where it is not known."""

    starts: list[float]
    ends: dict[int, float]

    def ends_at(self, task: Task, moment: float) -> None:
        self.ends[task.experiment_id] = max(self.ends.get(task.experiment_id, 0.0), moment)


def _likenesses(task: Task) -> tuple[tuple[str, ...], ...]:
    return (
        (task.experiment, task.engine, task.model, task.size),
        (task.engine, task.model, task.size),
        (task.experiment, task.engine),
    )


def _spread(seconds: Sequence[float]) -> Span:
    if len(seconds) < 2:
        return Span(seconds[0], seconds[0], seconds[0])
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return Span(median(seconds), low, high)


def _left(task: Task, length: Span | None, now: float) -> Span | None:
    """What is left of a job that runs: at its pace so far, or else from what others took."""
    if task.started_at is None:
        return length
    first = task.attempt <= 1 and task.progress and task.progress_at
    if first and task.progress and task.progress_at and task.progress_at > task.started_at:
        whole = (task.progress_at - task.started_at) / task.progress
        rest = max(task.started_at + whole - now, 0.0)
        return Span(rest, rest, rest)
    if length is None:
        return None
    gone = now - task.started_at
    return Span(max(length.likely - gone, 0), max(length.low - gone, 0), max(length.high - gone, 0))


def _pass(
    work: Workload, seconds: Sequence[float], running: Sequence[float], cpu_slots: int, cards: int, now: float
) -> "_Pass":
    """Who gets what is free first, in turn; a slot whose job is of unknown length does not come free."""
    pools = {False: [now] * cpu_slots, True: [now] * cards}
    groups = {name: [now] * slots for name, slots in work.slots.items()}
    for pool in (*pools.values(), *groups.values()):
        heapq.heapify(pool)
    found = _Pass([], {})
    for task, rest in sorted(zip(work.running, running, strict=True), key=lambda pair: pair[1]):
        wanted = _cards_of(task, cards)
        _take(pools[wanted > 0], max(wanted, 1), now, now + rest)
        if task.group in groups:
            _take(groups[task.group], 1, now, now + rest)
        found.ends_at(task, now + rest)
    for task, length in zip(work.waiting, seconds, strict=True):
        wanted = _cards_of(task, cards)
        pool = pools[wanted > 0]
        group = groups.get(task.group) if task.group else None
        if task.held or max(wanted, 1) > len(pool) or (group is not None and not group):
            # It will not come by itself, and holds back nobody.
            found.starts.append(math.inf)
            found.ends_at(task, math.inf)
            continue
        free = heapq.nsmallest(max(wanted, 1), pool)[-1]
        start = max(free, group[0] if group else now, task.not_before or now)
        # A job that waits for its time or its group lets others have the slot meanwhile.
        _take(pool, max(wanted, 1), free, max(start, free) + length if start <= free else free)
        if group:
            _take(group, 1, now, start + length)
        found.starts.append(start)
        found.ends_at(task, start + length)
    return found


def _take(pool: list[float], count: int, since: float, until: float) -> None:
    for _ in range(min(count, len(pool))):
        heapq.heapreplace(pool, until)


def _cards_of(task: Task, cards: int) -> int:
    return min(1, cards) if task.gpus is None else task.gpus


def _likely(span: Span) -> float:
    return span.likely


def _low(span: Span) -> float:
    return span.low


def _high(span: Span) -> float:
    return span.high


def _rounded(likely: float, low: float, high: float) -> Span | None:
    if not all(map(math.isfinite, (likely, low, high))):
        return None
    moments = [round(moment / _ROUND) * _ROUND for moment in (likely, low, high)]
    # Orders may differ between the passes: what is likely stays between the two.
    return Span(moments[0], min(moments), max(moments))


def _why(spans: Sequence[Span | None], left: Sequence[Span | None]) -> str:
    strange = sum(span is None for span in (*spans, *left))
    if strange:
        return f"{strange} job{'s are' if strange != 1 else ' is'} like none that has succeeded"
    return "some jobs are held, paused or too large to start"
