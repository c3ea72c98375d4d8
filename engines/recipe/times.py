"""Times as people write them: a date, a time of the day, a while from now; and how long something may take."""

import re
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

_WHILE = re.compile(r"\+(\d+(?:\.\d+)?)(s|m|h|d)")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LENGTH = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?")
_SLURMS = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")


def time_of(text: str, now: float) -> float:
    """Unix seconds of `2026-12-24T18:00`, of the next `22:30`, or of `+2h` after `now`. Local time unless it has a zone.

    ValueError where it is no time.
    """
    text = text.strip()
    if match := _WHILE.fullmatch(text):
        return now + float(match[1]) * _SECONDS[match[2]]
    if match := _CLOCK.fullmatch(text):
        today = datetime.fromtimestamp(now).replace(
            hour=int(match[1]), minute=int(match[2]), second=0, microsecond=0
        )
        # Not 24 hours later: on two days of the year that is another time of the day.
        return (today if today.timestamp() > now else today + timedelta(days=1)).timestamp()
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise ValueError(f"`{text}` is no time; write 2026-12-24T18:00, 22:30 or +2h") from None


_AGE = re.compile(r"(\d+(?:\.\d+)?) ?(h|d|w|hours?|days?|weeks?)")
_AGE_SECONDS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}


def age_of(text: str) -> float:
    """Seconds of `12h`, `30 days` or `2 weeks`. ValueError where it is no age."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"`{text}` is no age; write 12h, 30 days or 2 weeks")
    return float(match[1]) * _AGE_SECONDS[match[2][0]]


def _seconds(value: object) -> object:
    return age_of(value) if isinstance(value, str) else value


Age = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=str)]
"""Seconds, written as `age_of` understands them."""


def minutes_of(text: str) -> int:
    """Whole minutes in `90m`, `4h`, `1d12h`, or as Slurm writes it: `04:00:00`, `1-12:00:00`. ValueError for none."""
    text = text.strip()
    if match := _SLURMS.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        total = (days * 24 + hours) * 60 + minutes + (seconds > 0)
    else:
        match = _LENGTH.fullmatch(text)
        days, hours, minutes = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
        total = (days * 24 + hours) * 60 + minutes
    if total == 0:
        raise ValueError(f"`{text}` is no length of time; write it like 90m, 4h or 1d12h")
    return total


def _checked(text: str) -> str:
    minutes_of(text)
    return text


Length = Annotated[str, AfterValidator(_checked)]
"""Text that `minutes_of` understands."""
