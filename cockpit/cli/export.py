"""`tunedeck export`: metrics for other tools."""

import csv
import sys
from pathlib import Path

import click

from cockpit.cli.output import JOB_ID, narrate
from store import jobs
from store.database import StoreError, open_database


@click.command()
@click.argument("job_ids", metavar="[JOB]...", type=JOB_ID, nargs=-1)
@click.option("--experiment", "-e", help="All jobs of an experiment, by name or number.")
@click.option(
    "--tensorboard",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write TensorBoard's event files below DIR, one run a job.",
)
@click.option(
    "--csv", "as_csv", is_flag=True, help="Print job, name, key, step, time and value of every point."
)
def export(job_ids: tuple[int, ...], experiment: str | None, tensorboard: Path | None, as_csv: bool) -> None:
    """Every point of every metric, as CSV on stdout or as TensorBoard's event files."""
    from cockpit.exporting import Row, rows, write_event_files

    if as_csv == (tensorboard is not None):
        raise click.UsageError("give `--csv` or `--tensorboard DIR`, one of the two")
    if not job_ids and experiment is None:
        raise click.UsageError("which jobs? Name some, or `-e EXPERIMENT`")
    database = open_database()
    chosen = {job_id: jobs.get_job(database, job_id) for job_id in job_ids}
    if experiment is not None:
        found = jobs.list_jobs(database, experiment=experiment)
        if not found:
            raise StoreError(
                f"experiment `{experiment}`: there is no such experiment\nhint: `tunedeck jobs` names them"
            )
        chosen |= {job.id: job for job in found}
    if tensorboard is None:
        writer = csv.writer(sys.stdout)
        writer.writerow(Row._fields)
        writer.writerows(rows(database, list(chosen.values())))
        return
    written = write_event_files(database, list(chosen.values()), tensorboard)
    for path in written:
        click.echo(path)
    narrate(
        f"{sum(written.values())} points of {len(written)} jobs; `tensorboard --logdir {tensorboard}` shows them"
    )
