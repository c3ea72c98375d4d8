"""Commands that wish something of jobs: cancel, retry, hold, release, priority."""

from collections.abc import Callable

import click

from cockpit.cli import output
from cockpit.cli.output import JOB_ID, narrate
from store import machine, wishes
from store.database import StoreError, open_database
from store.jobs import Job

JOB_IDS = click.Argument(["job_ids"], metavar="JOB...", type=JOB_ID, nargs=-1, required=True)


def _wish(name: str, text: str, act: Callable[..., Job], *options: click.Option) -> click.Command:
    """A command that wishes one thing of each of several jobs, and reports all that was refused."""

    def command(job_ids: tuple[int, ...], **wanted: int) -> int:
        database = open_database()
        refused = 0
        for number in job_ids:
            try:
                job = act(database, number, **wanted)
                said = "will be stopped" if job.cancel_requested and not job.is_final else f"is {job.status}"
                narrate(output.clean(f"job {job.id} ({job.name}) {said}{' (held)' if job.held else ''}"))
            except StoreError as error:
                refused += 1
                narrate(f"error: {error}")
        machine.nudge(database.home)
        return 1 if refused else 0

    return click.Command(name, callback=command, help=text, params=[JOB_IDS, *options])


cancel = _wish(
    "cancel", "Cancel jobs: waiting ones at once, running ones at their next step.", wishes.request_cancel
)
retry = _wish("retry", "Queue ended jobs again; they resume from their last checkpoint.", wishes.retry)
hold = _wish(
    "hold", "Keep waiting jobs from starting.", lambda database, id_: wishes.set_held(database, id_, True)
)
release = _wish(
    "release", "Let held jobs start.", lambda database, id_: wishes.set_held(database, id_, False)
)
priority = _wish(
    "priority",
    "Change the priority of waiting jobs.",
    wishes.set_priority,
    click.Option(
        ["--to", "priority"], type=click.IntRange(-1000, 1000), required=True, help="Higher runs first."
    ),
)
