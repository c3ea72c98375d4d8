"""What commands print: stdout is data, stderr is narration. Tables are plain text, aligned, without colour codes in pipes."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from cockpit.figures import Pace
from cockpit.glyphs import STATUS_GLYPHS, ascii_only, to_ascii
from cockpit.plain.mode import is_plain
from cockpit.plain_text import plain_line, plain_lines
from store.jobs import Job
from store.machine import Reservation
from store.schema import Status

COLOURS: dict[Status, str] = {
    Status.BLOCKED: "bright_black",
    Status.QUEUED: "white",
    Status.STARTING: "cyan",
    Status.RUNNING: "cyan",
    Status.SUCCEEDED: "green",
    Status.FAILED: "red",
    Status.CANCELLED: "yellow",
    Status.LOST: "magenta",
}


class Styled(str):
    """Text that is ours, colour codes included; everything else is cleaned before it is printed."""


JOB_ID = click.IntRange(1, 2**63 - 1)
job_id = click.argument("job_id", metavar="JOB", type=JOB_ID)
job_ids = click.argument("job_ids", metavar="JOB...", type=JOB_ID, nargs=-1, required=True)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def narrate(text: str) -> None:
    click.echo(text, err=True)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=str, allow_nan=True))


def is_ascii() -> bool:
    return ascii_only() or "utf" not in (sys.stdout.encoding or "").lower()


def status_text(status: Status) -> Styled:
    """Glyph, word and colour; the first two say it without the third."""
    if is_plain():
        return Styled(status)
    glyph = STATUS_GLYPHS[status]
    return Styled(click.style(f"{to_ascii(glyph) if is_ascii() else glyph} {status}", fg=COLOURS[status]))


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> None:
    """The same as a table of Markdown."""
    click.echo("| " + " | ".join(headers) + " |")
    click.echo("|" + "".join(" ---: |" if right[i : i + 1] == "r" else " --- |" for i in range(len(headers))))
    for row in rows:
        click.echo("| " + " | ".join(clean(cell).replace("|", "\\|") for cell in row) + " |")


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: str = "",
) -> None:
    """Aligned columns; `right` has an `r` for each column to be flushed right.

    In plain mode a sentence for each row.
    """
    if is_plain():
        from cockpit.plain.sentences import rows_in_words

        click.echo("\n".join(rows_in_words(headers, [[click.unstyle(cell) for cell in row] for row in rows])))
        return
    shown = [[cell if isinstance(cell, Styled) else clean(cell) for cell in row] for row in rows]
    lines = [list(headers), *shown]
    lengths = [
        [len(click.unstyle(cell)) if isinstance(cell, Styled) else len(cell) for cell in line]
        for line in lines
    ]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    texts = []
    for line, taken in zip(lines, lengths, strict=True):
        cells = []
        for i, cell in enumerate(line):
            space = " " * (widths[i] - taken[i])
            cells.append(space + cell if right[i : i + 1] == "r" else cell + space)
        texts.append("  ".join(cells).rstrip())
    click.echo("\n".join([click.style(texts[0], bold=True), *texts[1:]]))


def clean(text: str) -> str:
    """One line without escapes, controls or hidden direction changes, so that a job's words cannot take the terminal over."""
    return plain_line(text.replace("\n", " "))


def foreign(text: str) -> str:
    """A job's own output: made harmless for a terminal, untouched in a pipe."""
    return "\n".join(plain_lines(text)) if sys.stdout.isatty() else text


def moment(at: float | None) -> str:
    """A time in local words."""
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def running_seconds(job: Job, now: Callable[[], float] = time.time) -> float | None:
    return None if job.started_at is None else (job.ended_at or now()) - job.started_at


def eta_seconds(job: Job) -> float | None:
    """What is left at the pace so far, or None where that cannot be said."""
    return Pace().seconds_left(job) if job.status is Status.RUNNING else None


def share_text(owner: Reservation) -> str:
    """A job and what it has of a GPU."""
    share = "" if owner.memory_bytes is None else f" ({owner.memory_bytes / (1 << 30):.3g} GiB)"
    return f"job {owner.job_id}{share}"


def progress_text(job: Job) -> str:
    if is_plain():
        from cockpit.plain.sentences import progress_in_words

        return progress_in_words(job)
    if job.progress_total is None or job.progress_done is None:
        return ""
    return f"{job.progress_done:g}/{job.progress_total:g} {job.progress_unit or ''}".rstrip()
