"""What commands print: stdout is data, stderr is narration. Tables are plain text, aligned, without colour codes in pipes."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from store.jobs import Job
from store.schema import Status

GLYPHS: dict[Status, tuple[str, str, str]] = {
    Status.BLOCKED: ("◌", ".", "bright_black"),
    Status.QUEUED: ("○", "o", "white"),
    Status.STARTING: ("◔", ">", "cyan"),
    Status.RUNNING: ("●", "*", "cyan"),
    Status.SUCCEEDED: ("✓", "+", "green"),
    Status.FAILED: ("✗", "x", "red"),
    Status.CANCELLED: ("⊘", "-", "yellow"),
    Status.LOST: ("?", "?", "magenta"),
}
"""Glyph, its ASCII form, and colour of each status; the word always stands beside them."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def narrate(text: str) -> None:
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str, allow_nan=True))


def is_ascii() -> bool:
    return bool(os.environ.get("TUNEDECK_ASCII")) or "utf" not in (sys.stdout.encoding or "").lower()


def status_text(status: Status) -> str:
    glyph, plain, colour = GLYPHS[status]
    return click.style(f"{plain if is_ascii() else glyph} {status}", fg=colour)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> None:
    """Aligned columns; `right` has an `r` for each column to be flushed right."""
    shown = [[clean(str(cell)).replace("\n", " ") for cell in row] for row in rows]
    lines = [list(headers), *shown]
    widths = [max(len(click.unstyle(line[i])) for line in lines) for i in range(len(headers))]
    for number, line in enumerate(lines):
        cells = []
        for i, cell in enumerate(line):
            space = " " * (widths[i] - len(click.unstyle(cell)))
            cells.append(space + cell if right[i : i + 1] == "r" else cell + space)
        text = "  ".join(cells).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def clean(text: str) -> str:
    """Text without terminal escapes other than our own colours, so that a job's words cannot take the terminal over."""
    parts, kept = _COLOUR.split(text), _COLOUR.findall(text)
    cleaned = [_CONTROL.sub("�", part) for part in parts]
    return "".join(part + (kept[i] if i < len(kept) else "") for i, part in enumerate(cleaned))


def duration(seconds: float | None) -> str:
    """Two units at the most: 42s, 3m12s, 5h07m, 2d03h."""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    for size, unit, smaller, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // smaller:02d}{small_unit}"
    return f"{whole}s"


def running_seconds(job: Job, now: Callable[[], float] = time.time) -> float | None:
    return None if job.started_at is None else (job.ended_at or now()) - job.started_at


def eta_seconds(job: Job, now: Callable[[], float] = time.time) -> float | None:
    """What is left at the pace so far, or None while that cannot be said."""
    if (
        job.status is not Status.RUNNING
        or not job.progress_total
        or not job.progress_done
        or not job.started_at
    ):
        return None
    elapsed = (job.progress_at or now()) - job.started_at
    return max(0.0, elapsed / job.progress_done * (job.progress_total - job.progress_done))


def progress_text(job: Job) -> str:
    if job.progress_total is None or job.progress_done is None:
        return ""
    return f"{job.progress_done:g}/{job.progress_total:g} {job.progress_unit or ''}".rstrip()


def plain(text: str) -> str:
    """Foreign text for a terminal: every control character but newline and tab made visible; untouched in a pipe."""
    return _CONTROL.sub("�", _COLOUR.sub("", text.replace("\r", "\n"))) if sys.stdout.isatty() else text
