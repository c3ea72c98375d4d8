"""Past moments as people write them."""

import re
import time
from datetime import datetime, timedelta

from cockpit.plain_text import plain_line
from engines.recipe.errors import RecipeError
from store.database import Database, StoreError
from store.jobs import get_job
from store.past_moments import first_moment, last_change
from store.schema import FINAL, Status

WAYS = "-2h, 03:00, 2026-11-20 03:00 or job 12 end"
_WHILE = re.compile(r"([+-]) ?((?:\d+(?:\.\d+)? ?[smhdw] ?)+)")
_PART = re.compile(r"(\d+(?:\.\d+)?) ?([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_JOB = re.compile(r"(?:job ?|#)(\d{1,18})(?: (\w+))?")
_EVENTS = {"submitted": (), "start": (Status.RUNNING,), "end": FINAL}


def moment_of(text: str, database: Database, shown: float | None = None) -> float:
    """Unix seconds of what somebody wrote. `shown` is the past moment that is looked at; None: the present.

    `-2h` and `+10m` count from what is shown, `03:00` is of the day that is shown, or of yesterday where it is still to
    come today. RecipeError where it is no moment or nothing of it is known, StoreError where there is no such job.
    """
    text, now = " ".join(text.lower().split()), database.now()
    if text == "now":
        return now
    if match := _JOB.fullmatch(text):
        return known(_of_job(database, int(match[1]), match[2] or "start"), database)
    try:
        moment = _on_the_calendar(text, shown, now)
        in_words(moment)
    except (ValueError, OverflowError, OSError):
        raise RecipeError(f"`{plain_line(text, 60)}` is no moment", hint=f"write {WAYS}") from None
    return known(moment, database)


def known(moment: float, database: Database) -> float:
    """The moment, where there was something then. RecipeError says why there was not."""
    first, now = first_moment(database), database.now()
    if first is None:
        raise RecipeError("there is no past yet", hint="submit a first job")
    if moment > now:
        raise RecipeError(f"{in_words(moment)} is still to come", hint=f"write {WAYS}")
    if moment < first:
        raise RecipeError(
            f"{in_words(moment)} is before the first job", hint=f"it was submitted {in_words(first)}"
        )
    return moment


def in_words(moment: float) -> str:
    """Local time with its zone: `2026-11-20 03:00:00 UTC`."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(moment))


def _on_the_calendar(text: str, shown: float | None, now: float) -> float:
    """ValueError, OverflowError or OSError where it is no time, or one that no calendar has."""
    if match := _WHILE.fullmatch(text):
        seconds = sum(float(count) * _SECONDS[unit] for count, unit in _PART.findall(match[2]))
        return (now if shown is None else shown) + (seconds if match[1] == "+" else -seconds)
    if match := _CLOCK.fullmatch(text):
        return _clock(match, shown, now)
    return datetime.fromisoformat(text.upper()).timestamp()


def _clock(match: re.Match[str], shown: float | None, now: float) -> float:
    day = datetime.fromtimestamp(now if shown is None else shown)
    found = day.replace(hour=int(match[1]), minute=int(match[2]), second=int(match[3] or 0), microsecond=0)
    # Not 24 hours earlier: on two days of the year that is another time of the day.
    return (found if found.timestamp() <= now else found - timedelta(days=1)).timestamp()


def _of_job(database: Database, job_id: int, what: str) -> float:
    """When a job was submitted, or when its last attempt started or ended."""
    if what not in _EVENTS:
        raise RecipeError(
            f"`{plain_line(what, 60)}` is nothing that happens to a job",
            hint=f"write one of {', '.join(_EVENTS)}",
        )
    job = get_job(database, job_id)
    if what == "submitted":
        return job.created_at
    moment = last_change(database, job_id, _EVENTS[what])
    if moment is None:
        raise StoreError(f"job {job_id}: has no {what} yet; it is {job.status}")
    return moment
