"""What the plain cockpit has beside the commands of the command line: aids for reading by ear."""

from collections.abc import Sequence

import click

from cockpit.figures import Pace
from cockpit.plain.curve import WIDTH, describe
from cockpit.plain.sentences import job_sentence
from cockpit.plain.words import counted
from engines.recipe.wording import nearest
from store import jobs, machine, metrics
from store.database import Database, StoreError
from store.schema import ACTIVE, WAITING, Status

OWN = {
    "where": "what is running now",
    "curve": "a metric in words, as in: curve 12 loss",
    "news": "everything that has happened since you came",
    "say": "how much is said unasked: say quiet, say events, or say all",
    "next": "the next line of the last answer",
    "previous": "the line before",
    "repeat": "the same line, or the whole last answer, again",
    "help": "the commands; help jobs says what one of them takes",
    "quit": "leave; jobs go on",
}
ALIASES = {
    "log": "logs",
    "exit": "quit",
    "bye": "quit",
    "?": "help",
    "n": "next",
    "p": "previous",
    "r": "repeat",
}


def where(database: Database) -> list[str]:
    """What runs, how much waits, and whether there is a daemon."""
    active, pace = jobs.list_active(database), Pace()
    counts = jobs.count_by_status(database)
    waiting = sum(counts.get(status, 0) for status in WAITING)
    begin = (
        f"{counted(len(active), 'job')} {'runs' if len(active) == 1 else 'run'}" if active else "Nothing runs"
    )
    runs = machine.daemon_is_running(database.home)
    daemon = "" if runs else " No daemon is running, so nothing starts: up starts one."
    lines = [f"{begin}, {waiting or 'none'} {'waits' if waiting == 1 else 'wait'}.{daemon}"]
    lines += [_ended(job_sentence(database, job, pace.seconds_left(job))) for job in active]
    if bad := counts.get(Status.FAILED, 0) + counts.get(Status.LOST, 0):
        lines.append(f"{counted(bad, 'job')} of the queue failed or {'was' if bad == 1 else 'were'} lost.")
    return lines


def curve(database: Database, arguments: Sequence[str]) -> list[str]:
    """A metric of a job in words; without a name, the metrics there are. Raises StoreError and click.UsageError."""
    if not arguments or not arguments[0].isdecimal() or len(arguments) > 2:
        raise click.UsageError(
            "curve needs the number of a job, and the name of a metric, as in: curve 12 loss"
        )
    job = jobs.get_job(database, int(arguments[0]))
    names = [series.name for series in metrics.list_series(database, [job.id])]
    if not names:
        return [f"Job {job.id} has no metrics yet."]
    name = arguments[1] if len(arguments) == 2 else "loss" if "loss" in names else ""
    if not name:
        return [f"Job {job.id} has {counted(len(names), 'metric')}: {', '.join(names)}."]
    if name not in names:
        hint = nearest(name, names) or f"curve {job.id} names them"
        raise StoreError(f"job {job.id}: has no metric `{name}`\nhint: {hint}")
    said = describe(name, metrics.chart(database, job.id, name, WIDTH))
    others = [one for one in names if one != name]
    more = [f"It also has {', '.join(others[:10])}."] if others and len(arguments) == 1 else []
    return [f"Job {job.id}, {job.status}: {said[0]}", *said[1:], *more]


def to_be_cancelled(database: Database, arguments: Sequence[str]) -> str:
    """The question before a cancel: what of, and what becomes of it. Empty where nothing would be."""
    ids = [int(word) for word in arguments if word.isdecimal()]
    if len(ids) != len(arguments) or len(ids) != 1:
        return (
            f"Cancel {counted(len(ids), 'job')}? yes or no: "
            if len(ids) == len(arguments)
            else "Cancel these jobs? yes or no: "
        )
    job = jobs.get_job(database, ids[0])
    if job.is_final:
        return ""
    becomes = (
        " It stops at its next step and keeps a checkpoint."
        if job.status in ACTIVE
        else " undo brings it back."
    )
    return f"Cancel {job_sentence(database, job)}?{becomes} yes or no: "


def _ended(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
