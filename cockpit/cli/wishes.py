"""Commands that wish something of jobs: cancel, undo, retry, hold, release, priority."""

from collections.abc import Callable, Sequence

import click

from cockpit.cli import output
from cockpit.cli.output import JOB_ID, narrate
from store import jobs, machine, wishes
from store.database import Database, StoreError, open_database
from store.jobs import Job
from store.schema import ACTIVE, WAITING, Status

JOB_IDS = click.Argument(["job_ids"], metavar="JOB...", type=JOB_ID, nargs=-1)
EXPERIMENT = click.Option(
    ["--experiment", "-e"], help="All jobs of this experiment that it fits, by name or number."
)


def _fitting(database: Database, experiment: str | None, statuses: Sequence[Status]) -> list[int]:
    """The jobs of an experiment that a wish can be for."""
    if experiment is None:
        return []
    return [job.id for job in jobs.list_jobs(database, experiment=experiment, statuses=statuses)]


def _wish(
    name: str, text: str, act: Callable[..., Job], statuses: Sequence[Status], *options: click.Option
) -> click.Command:
    """A command that wishes one thing of each of several jobs, and reports all that was refused."""

    def command(job_ids: tuple[int, ...], experiment: str | None, **wanted: int) -> int:
        if not job_ids and experiment is None:
            raise click.UsageError("which jobs? give their numbers, or an experiment with -e")
        database = open_database()
        refused = 0
        for number in [*job_ids, *_fitting(database, experiment, statuses)]:
            try:
                job = act(database, number, **wanted)
                said = "will be stopped" if job.cancel_requested and not job.is_final else f"is {job.status}"
                narrate(output.clean(f"job {job.id} ({job.name}) {said}{' (held)' if job.held else ''}"))
            except StoreError as error:
                refused += 1
                narrate(f"error: {error}")
        machine.nudge(database.home)
        return 1 if refused else 0

    return click.Command(name, callback=command, help=text, params=[JOB_IDS, EXPERIMENT, *options])


cancel = _wish(
    "cancel",
    "Cancel jobs: waiting ones at once, running ones at their next step.",
    wishes.request_cancel,
    (*WAITING, *ACTIVE),
)
undo = _wish(
    "undo",
    "Take back the cancel of jobs that were waiting: place, hold and dependents.",
    wishes.undo_cancel,
    (Status.CANCELLED,),
)
retry = _wish(
    "retry",
    "Queue ended jobs again; they resume from their last checkpoint.",
    wishes.retry,
    (Status.FAILED, Status.LOST),
)
hold = _wish(
    "hold",
    "Keep waiting jobs from starting.",
    lambda database, id_: wishes.set_held(database, id_, True),
    WAITING,
)
release = _wish(
    "release",
    "Let held jobs start.",
    lambda database, id_: wishes.set_held(database, id_, False),
    WAITING,
)
priority = _wish(
    "priority",
    "Change the priority of waiting jobs.",
    wishes.set_priority,
    WAITING,
    click.Option(
        ["--to", "priority"], type=click.IntRange(-1000, 1000), required=True, help="Higher runs first."
    ),
)
