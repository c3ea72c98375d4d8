"""What the rows of `jobs` said at a past moment, told again from the log of transitions.

A job of which nothing is logged after the moment has the row that it has today. The others are gone through line by
line, as `store/lifecycle.py`, `store/wishes.py` and `store/sweeps.py` wrote them.

What no line tells, and what is shown in its place:

    held, at first         as its first release or hold implies; they are the only lines about it
    priority, at first     the one in its recipe
    cancel_requested       not set while the job runs, nor after it ended otherwise and was retried: the wish has no time
    not_before             nothing, once the job has started or was queued again since
    reason                 nothing, for a job in Slurm's hands: what Slurm said last is said anew all the time
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from store.schema import ACTIVE, FINAL, WAITING
from store.wishes import NEVER_STARTED

_AGAIN = re.compile(r"attempt \d+ .*; queued again( with less memory)?", re.DOTALL)
_PRIORITY = re.compile(r"priority (-?\d+)")
_PRUNED = "pruned: "
UNKNOWN = "what became of it by then is not on record"


class Line(NamedTuple):
    """A line of the audit log. `then` says whether it was written by the moment."""

    time: float
    old: str | None
    new: str
    attempt: int
    reason: str | None
    then: bool

    @property
    def is_note(self) -> bool:
        """The status stayed what it was."""
        return self.old == self.new

    @property
    def ends_attempt(self) -> bool:
        return self.old in ACTIVE and self.new not in ACTIVE


class Times(NamedTuple):
    """An attempt's own times, and how it exited."""

    started_at: float | None
    ended_at: float | None
    exit_code: int | None


def job_then(
    today: Mapping[str, Any], lines: Sequence[Line], attempts: Mapping[int, Times]
) -> dict[str, Any]:
    """The columns of a job's row as they were, from its row today, its whole log in order, and its attempts by number.

    `settled`: whether its scores and examples, which have no times, are those of that moment.
    """
    notes = [line for line in lines if line.is_note]
    row: dict[str, Any] = {
        "status": "queued", "attempt": 0, "reason": UNKNOWN, "started_at": None, "ended_at": None, "exit_code": None,
        "cancel_requested": False, "held": _held_at_first(today, notes), "priority": _priority_at_first(today, notes),
    }  # fmt: skip
    known, later = [line for line in lines if line.then], [line for line in lines if not line.then]
    for line in known:
        row |= _noted(line, row["held"]) if line.is_note else _moved(line, attempts.get(line.attempt), row)
    moves = [line for line in later if not line.is_note]
    ended = row["status"] in FINAL and not moves
    waits = row["status"] in WAITING
    again = [match for line in moves if line.reason and (match := _AGAIN.fullmatch(line.reason))]
    return row | {
        "not_before": today["not_before"] if waits and not moves else None,
        "retries_left": today["retries_left"] + sum(match[1] is None for match in again),
        "fallbacks": today["fallbacks"] - sum(match[1] is not None for match in again),
        "ended_at": today["ended_at"] if ended else row["ended_at"],
        "cancel_requested": today["cancel_requested"] if ended else row["cancel_requested"],
        "settled": row["status"] not in ACTIVE and not any(map(_changes_scores, later)),
    }


def _moved(line: Line, attempt: Times | None, row: Mapping[str, Any]) -> dict[str, Any]:
    """What a change of the status changed with it."""
    times = attempt or Times(None, None, None)
    changed: dict[str, Any] = {"status": line.new, "attempt": line.attempt}
    changed["reason"] = line.reason if line.old is not None else None
    if line.new in WAITING:
        changed |= {"started_at": None, "ended_at": None, "cancel_requested": False}
    elif line.new == "running":
        changed["started_at"] = times.started_at
    elif line.new in FINAL:
        changed["ended_at"] = times.ended_at if line.ends_attempt else line.time
    if line.new == "cancelled":
        changed["cancel_requested"] = line.ends_attempt or line.reason == NEVER_STARTED
    if line.ends_attempt:
        changed["exit_code"] = times.exit_code
    elif line.old in FINAL:
        changed["exit_code"] = None
    return changed


def _noted(line: Line, held: bool) -> dict[str, Any]:
    """What a wish changed that left the status as it was."""
    text = line.reason or ""
    if match := _PRIORITY.fullmatch(text):
        return {"priority": int(match[1])}
    if text == "held":
        return {"held": True}
    if text == "released":
        return {"held": False} | ({"reason": None} if held else {})
    return {"held": True, "reason": text} if text.startswith("held: ") else {}


def _held_at_first(today: Mapping[str, Any], notes: Sequence[Line]) -> bool:
    for line in notes:
        if "held" in (change := _noted(line, True)):
            return not change["held"]
    return bool(today["held"])


def _priority_at_first(today: Mapping[str, Any], notes: Sequence[Line]) -> int:
    changed = any(_PRIORITY.fullmatch(line.reason or "") for line in notes)
    return int(today["recipe_priority"] or 0) if changed else int(today["priority"])


def _changes_scores(line: Line) -> bool:
    """A later attempt reports scores anew, and so do those who grade again."""
    is_amendment = line.is_note and line.old in FINAL and not (line.reason or "").startswith(_PRUNED)
    return line.new == "starting" or is_amendment
