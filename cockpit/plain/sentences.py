"""Rows and jobs as sentences: what matters first."""

from collections.abc import Sequence

from cockpit.figures import Pace, figure, number, span
from cockpit.plain.words import in_words, spans_in_words
from cockpit.plain_text import plain_line
from store import metrics, results
from store.database import Database
from store.jobs import Job
from store.schema import ACTIVE, Status

_LABELS = {
    "95 %": "95 percent interval",
    "p (Holm)": "p after Holm",
    "n": "questions",
    "diff pp": "difference in points",
}
TOLD = ("strict", "robust")
MOST_JOBS = 20
"""In an answer, where nobody said how many."""


def rows_in_words(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A sentence for each row: `model full, job 12, strict 80.0%, ...`. Empty cells are not said.

    A verdict comes right behind what it is about, not behind the numbers that it stands on.
    """
    order = sorted(range(len(headers)), key=lambda place: 0.5 if headers[place] == "verdict" else place)
    return [
        ", ".join(_labelled(headers[place], _cell(row[place])) for place in order if row[place].strip())
        for row in rows
    ]


def _labelled(header: str, cell: str) -> str:
    if header.startswith("against "):
        return f"{cell} {plain_line(header, 200)}"
    return f"{_LABELS.get(header, header)} {cell}".strip()


def _cell(text: str) -> str:
    text = spans_in_words(in_words(text).strip())
    return "under " + text[2:] if text.startswith("< ") else text


def progress_in_words(job: Job) -> str:
    if job.progress_total is None or job.progress_done is None:
        return ""
    return f"{job.progress_unit or ''} {job.progress_done:g} of {job.progress_total:g}".strip()


def name_of(job: Job) -> str:
    return " ".join(plain_line(job.name, 200).split())


def job_sentence(database: Database, job: Job, eta: float | None = None) -> str:
    """`job 12, running, full, step 40 of 100, loss 1.23, 5 minutes 0 seconds left`.

    The name comes behind the status: names of a sweep are long, and begin alike.
    """
    return _sentence_of(job, figures_of(database, [job]).get(job.id, []), eta)


def jobs_in_words(database: Database, rows: Sequence[Job], limit: int | None) -> list[str]:
    """What runs first, then what waits, then what has ended, the newest first. Without a limit, so many as one can listen to."""
    ordered = sorted(rows, key=lambda job: (_rank(job), job.id if not job.is_final else -job.id))
    shown = ordered if limit else ordered[:MOST_JOBS]
    figures, pace = figures_of(database, shown), Pace()
    lines = [
        f"{_sentence_of(job, figures.get(job.id, []), pace.seconds_left(job) if job.status in ACTIVE else None)}, of {job.experiment}"
        for job in shown
    ]
    left = len(ordered) - len(shown)
    return [*lines, f"and {left} more: jobs -n {len(ordered)} lists all"] if left else lines


def figures_of(database: Database, of: Sequence[Job]) -> dict[int, list[str]]:
    """The newest loss of each job, and its accuracy where there is one."""
    ids = [job.id for job in of]
    said: dict[int, list[str]] = {}
    for series in metrics.list_series(database, ids):
        if series.name == "loss" and series.last_value is not None:
            said.setdefault(series.job_id, []).append(f"loss {number(series.last_value)}")
    for score in sorted(results.list_scores(database, ids), key=lambda one: one.name, reverse=True):
        if score.name in TOLD and score.value is not None:
            said.setdefault(score.job_id, []).append(f"{score.name} {figure(score.name, score.value)}")
    return said


def _rank(job: Job) -> int:
    return 0 if job.status in ACTIVE else 2 if job.is_final else 1


def _sentence_of(job: Job, figures: Sequence[str], eta: float | None) -> str:
    state = f"{job.status}{' and held' if job.held and not job.is_final else ''}"
    if job.cancel_requested and not job.is_final:
        state += ", asked to stop"
    parts = [f"job {job.id}", state, name_of(job), "" if job.is_final else progress_in_words(job), *figures]
    if job.is_final and job.status is not Status.SUCCEEDED and job.reason:
        parts.append(plain_line(job.reason, 300))
    if eta is not None:
        parts.append(f"{spans_in_words(span(eta))} left")
    return ", ".join(part for part in parts if part)
