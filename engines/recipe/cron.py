"""`cron:` lines as cron itself reads them, on APScheduler's triggers.

APScheduler counts weekdays from Monday where cron counts them from Sunday, and wants day and weekday both to match
where cron takes either. Times are local, and follow daylight saving.
"""

from datetime import datetime
from typing import Any

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


def trigger_of(line: str) -> Any:
    """An APScheduler trigger. ValueError where the line is none of cron's."""
    from apscheduler.triggers.combining import OrTrigger  # few recipes have a cron line
    from apscheduler.triggers.cron import CronTrigger

    fields = MACROS.get(line.strip(), line).split()
    if len(fields) != 5:
        raise ValueError(f"`{line}` has {len(fields)} fields; write five: minute hour day month weekday")
    minute, hour, day, month, weekday = fields
    rest = {"minute": minute, "hour": hour, "month": month}
    days = _weekdays(weekday)
    try:
        if day != "*" and weekday != "*":
            return OrTrigger([CronTrigger(day=day, **rest), CronTrigger(day_of_week=days, **rest)])
        return CronTrigger(day=day, day_of_week=days, **rest)
    except ValueError as error:
        raise ValueError(f"`{line}`: {error}") from error


def next_time(line: str, after: float) -> float | None:
    """Unix seconds of the next time after `after` (Unix seconds); None when there is none."""
    moment = datetime.fromtimestamp(after).astimezone()
    found = trigger_of(line).get_next_fire_time(None, moment)
    if found is not None and found.timestamp() <= after:  # a whole minute counts as not yet over
        found = trigger_of(line).get_next_fire_time(found, moment)
    return None if found is None else float(found.timestamp())


def _weekdays(field: str) -> str:
    """Cron's weekdays, 0 and 7 for Sunday, as a list of names."""
    if field == "*":
        return field
    days: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        first, dash, last = ("0", "-", "6") if span == "*" else span.partition("-")
        begin, end = _weekday(first), _weekday(last) if dash else 6 if step else _weekday(first)
        if end < begin:
            end += 7
        if step and not (step.isdigit() and int(step) > 0):
            raise ValueError(f"`/{step}` is no step")
        days |= {day % 7 for day in range(begin, end + 1, int(step or 1))}
    return ",".join(WEEKDAYS[day] for day in sorted(days))


def _weekday(text: str) -> int:
    if text in WEEKDAYS:
        return WEEKDAYS.index(text)
    if text.isdigit() and int(text) <= 7:
        return int(text)
    raise ValueError(f"`{text}` is no weekday; write 0 to 7 or mon to sun")
