"""`--wait`: live progress in the terminal for people without the TUI, plain lines where there is no terminal."""

import sys
import time
from collections.abc import Sequence

import click

from cockpit.cli import output
from cockpit.cli.output import narrate
from cockpit.figures import span
from cockpit.plain.mode import is_plain
from store import jobs, metrics, results
from store.database import Database
from store.jobs import Job
from store.schema import Status

POLL_SECONDS = 0.5
PLAIN_LINE_SECONDS = 10.0


def watch(database: Database, job_ids: Sequence[int]) -> int:
    """Shows the jobs until all have ended. Returns 0 when all succeeded, else 1. Ctrl-C leaves them running."""
    try:
        rows = (
            _watch_on_terminal(database, job_ids)
            if sys.stderr.isatty() and not is_plain()
            else _watch_plain(database, job_ids)
        )
    except KeyboardInterrupt:
        narrate("\nthe jobs go on; `tunedeck jobs` shows them, `tunedeck cancel` stops them")
        raise
    return 0 if all(job.status is Status.SUCCEEDED for job in rows) else 1


def _watch_plain(database: Database, job_ids: Sequence[int]) -> list[Job]:
    """A line at each change of status, and one in a while for each running job."""
    said: dict[int, Status] = {}
    spoke: dict[int, float] = {}
    while True:
        rows = jobs.list_jobs(database, ids=job_ids)
        for job in rows:
            changed = said.get(job.id) is not job.status
            due = (
                job.status is Status.RUNNING
                and time.monotonic() - spoke.get(job.id, 0.0) > PLAIN_LINE_SECONDS
            )
            if (changed and job.status not in (Status.BLOCKED, Status.STARTING)) or due:
                # The time is in the way of whoever listens.
                narrate(
                    _line(database, job)
                    if is_plain()
                    else f"{time.strftime('%H:%M:%S')}  {_line(database, job)}"
                )
                spoke[job.id] = time.monotonic()
            said[job.id] = job.status
        if all(job.is_final for job in rows):
            return rows
        time.sleep(POLL_SECONDS)


def _watch_on_terminal(database: Database, job_ids: Sequence[int]) -> list[Job]:
    from rich.console import Console
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TaskID, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[note]}"))
    bars = Progress(*columns, console=Console(stderr=True), auto_refresh=False)
    ids: dict[int, TaskID] = {}
    with Live(bars, console=bars.console, auto_refresh=False) as live:
        while True:
            rows = jobs.list_jobs(database, ids=job_ids)
            for job in rows:
                if job.id not in ids:
                    ids[job.id] = bars.add_task("", total=None, note="")
                whole = job.progress_total or 1
                done = whole if job.status is Status.SUCCEEDED else job.progress_done or 0
                state = click.unstyle(output.status_text(job.status))
                name = f"{job.id:>4} {output.clean(job.name)[:32]:<32} {state:<11}"
                bars.update(
                    ids[job.id], description=name, total=whole, completed=done, note=_note(database, job)
                )
            live.refresh()
            if all(job.is_final for job in rows):
                return rows
            time.sleep(POLL_SECONDS)


def _line(database: Database, job: Job) -> str:
    if is_plain():
        return f"job {job.id}, {job.status}, {output.clean(job.name)}  {_note(database, job)}".rstrip()
    state = output.status_text(job.status)
    return f"job {job.id:<4} {output.clean(job.name):<28} {state:<11} {_note(database, job)}".rstrip()


def _note(database: Database, job: Job) -> str:
    """Progress, the newest loss or the score, ETA or time taken; the reason when it ended badly."""
    if job.is_final and job.status is not Status.SUCCEEDED:
        return output.clean(job.reason or "")
    parts = [output.progress_text(job)]
    newest = {series.name: series.last_value for series in metrics.list_series(database, [job.id])}
    if newest.get("loss") is not None:
        parts.append(f"loss {newest['loss']:.3f}")
    if job.is_final:
        scores = {score.name: score.value for score in results.list_scores(database, [job.id])}
        parts += [
            f"{name} {scores[name]:.3f}" for name in ("strict", "robust") if scores.get(name) is not None
        ]
        parts.append(f"took {span(output.running_seconds(job))}")
    elif eta := span(output.eta_seconds(job)):
        parts.append(f"{eta} left")
    return "  ".join(part for part in parts if part)
