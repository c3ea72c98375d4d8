"""What the queue and the job screen let people wish of a job; each wish is asked for, then written down off the UI."""

from collections.abc import Callable

from textual.screen import Screen

from cockpit.asked import Wish
from cockpit.plain_text import plain_line
from cockpit.screens.confirm import ConfirmScreen
from store import wishes
from store.database import Database
from store.jobs import Job
from store.queue import JobRow
from store.schema import ACTIVE


def cancel(screen: Screen[None], job: Job | JobRow) -> None:
    """At once for a waiting job; a running one only after a question."""
    if job.status not in ACTIVE:
        _wish(screen, job, wishes.request_cancel, "cancelled")
        return

    def answered(yes: bool | None) -> None:
        if yes:
            _wish(screen, job, wishes.request_cancel, "asked to stop")

    question = f"Cancel job {job.id}, {plain_line(job.name, 80)}?"
    consequence = "It stops at its next step and keeps a checkpoint, from which a retry goes on."
    screen.app.push_screen(ConfirmScreen(question, consequence, "Cancel the job"), answered)


def retry(screen: Screen[None], job: Job | JobRow) -> None:
    _wish(screen, job, wishes.retry, "queued again")


def hold_or_release(screen: Screen[None], job: Job | JobRow) -> None:
    held = not job.held
    _wish(
        screen,
        job,
        lambda store, job_id: wishes.set_held(store, job_id, held),
        "held" if held else "released",
    )


def change_priority(screen: Screen[None], job: Job | JobRow, by: int) -> None:
    wanted = job.priority + by
    _wish(
        screen,
        job,
        lambda store, job_id: wishes.set_priority(store, job_id, wanted),
        f"has priority {wanted}",
    )


def _wish(
    screen: Screen[None], job: Job | JobRow, wish: Callable[[Database, int], object], done: str
) -> None:
    def act(store: Database) -> str:
        wish(store, job.id)
        return f"job {job.id} {done}"

    screen.post_message(Wish(act))
