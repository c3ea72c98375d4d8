"""Commands that go on while a job does: wait, logs."""

import sys
import time
from pathlib import Path

import click

from cockpit.cli import output
from cockpit.cli.output import job_id, job_ids, narrate
from cockpit.log_file import blocks_from, tail_offset
from store import jobs as store_jobs
from store.database import StoreError, open_database
from store.schema import Status


@click.command()
@job_ids
@click.option("--timeout", type=float, help="Give up after this many seconds (exit code 1).")
def wait(job_ids: tuple[int, ...], timeout: float | None) -> int:
    """Wait until all of these jobs have ended. Exit code 0 when all succeeded, else 1."""
    database = open_database()
    deadline = None if timeout is None else time.monotonic() + timeout
    for number in job_ids:
        while not (job := store_jobs.get_job(database, number)).is_final:
            if deadline is not None and time.monotonic() > deadline:
                raise StoreError(f"job {number}: is still {job.status} after {timeout:g} s")
            time.sleep(0.2)
    ended = store_jobs.list_jobs(database, ids=job_ids)
    for job in ended:
        narrate(
            output.clean(f"job {job.id} ({job.name}) {job.status}{f': {job.reason}' if job.reason else ''}")
        )
    return 0 if all(job.status is Status.SUCCEEDED for job in ended) else 1


@click.command()
@job_id
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended; exits with its result.")
@click.option("--lines", "-n", type=click.IntRange(0), help="Only the last N lines.")
def logs(job_id: int, follow: bool, lines: int | None) -> int:
    """Print what a job's worker wrote to stdout and stderr."""
    database = open_database()
    job = store_jobs.get_job(database, job_id)
    path = database.run_dir(job_id) / "worker.log"
    offset = _print_log(path, tail_offset(path, lines) if lines is not None else 0)
    while follow and not job.is_final:
        time.sleep(0.2)
        job = store_jobs.get_job(database, job_id)
        offset = _print_log(path, offset)
    return 1 if follow and job.status is not Status.SUCCEEDED else 0


def _print_log(path: Path, offset: int) -> int:
    for end, block in blocks_from(path, offset):
        # Into a file or a pipe go the very bytes: a block may end inside a character.
        shown = output.foreign(block.decode("utf-8", "replace")) if sys.stdout.isatty() else block
        click.echo(shown, nl=False)
        offset = end
    return offset
