"""Numbers, spans and moments as people read them, and when a job will be done."""

import math
import time
from collections.abc import Hashable
from typing import Protocol

_SHARES = {
    *("strict", "robust", "openai_strict", "lm_eval_flexible", "tpt_strict", "format_gap"),
    *("thinking", "answered", "contains", "truncated", "avg", "pass", "maj", "maj_avg_gap"),
    *("yield", "solved", "distinct", "distinct_ratio", "success_rate", "overlap_with_gold"),
    *("retrieval", "chance", "hard_r1", "hard_chance", "energy"),
}
"""Scores that are shares, without the round, the split and the number of samples that their names may have."""


class Progressing(Protocol):
    """What the estimate needs of a job."""

    @property
    def id(self) -> int: ...
    @property
    def attempt(self) -> int: ...
    @property
    def started_at(self) -> float | None: ...
    @property
    def progress_done(self) -> float | None: ...
    @property
    def progress_total(self) -> float | None: ...
    @property
    def progress_at(self) -> float | None: ...


class Pace:
    """Seconds left, from the pace so far.

    A first attempt began with nothing done when it started. A later one resumed from a checkpoint that the row does
    not name, so its pace counts from the first progress of it that was seen.
    """

    def __init__(self) -> None:
        self._baselines: dict[Hashable, tuple[float, float]] = {}

    def seconds_left(self, job: Progressing) -> float | None:
        if not job.progress_total or job.progress_at is None or job.progress_done is None:
            return None
        if job.attempt <= 1 and job.started_at is not None:
            baseline = (0.0, job.started_at)
        else:
            baseline = self._baselines.setdefault((job.id, job.attempt), (job.progress_done, job.progress_at))
        done, seconds = job.progress_done - baseline[0], job.progress_at - baseline[1]
        if done <= 0 or seconds <= 0:
            return None
        return (job.progress_total - job.progress_done) * seconds / done


def fraction(done: float | None, total: float | None) -> float | None:
    return min(done / total, 1.0) if done is not None and total else None


def span(seconds: float | None) -> str:
    """`48s`, `12m 05s`, `3h 20m`, `2d 4h`: two units, never wider than seven cells."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def number(value: float | None) -> str:
    """Four significant digits in at most eight cells: `0.4321`, `12.35`, `1.0e-05`, `52.1k`."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return {math.inf: "inf", -math.inf: "-inf"}.get(value, "NaN")
    size = abs(value)
    if value == int(value) and size < 10_000:
        return str(int(value))
    if size >= 10_000:
        exponent = min(int(math.log10(size)) // 3, 4)
        return f"{value / 1000**exponent:.4g}{' kMGT'[exponent]}" if size < 1e15 else f"{value:.1e}"
    if size < 0.001:
        return f"{value:.1e}"
    return f"{value:.4f}" if size < 1 else f"{value:.{max(0, 3 - int(math.log10(size)))}f}"


def percent(value: float | None) -> str:
    """One decimal, as tables of accuracy have it."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{100 * value:.1f}%"


def figure(name: str, value: float | None) -> str:
    """A score by its name: a share as percent, anything else (counts, tokens, seconds) as a number."""
    kind = name.rpartition("/")[2].removeprefix("dev_").removeprefix("train_").partition("@")[0]
    return percent(value) if kind in _SHARES else number(value)


def clock(moment: float | None) -> str:
    """Local time; the date too when it was not today."""
    if moment is None:
        return ""
    local, today = time.localtime(moment), time.localtime()
    same_day = (local.tm_year, local.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M", local)


def size_text(size: int) -> str:
    """Bytes in words: `812 B`, `1.50 GiB`."""
    for unit, one in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= one:
            value = size / one
            return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"
    return f"{size} B"
