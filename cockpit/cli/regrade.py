"""`tunedeck regrade`: stored completions under today's graders."""

from dataclasses import asdict

import click

from cockpit import comparison
from cockpit.cli import output
from cockpit.cli.output import JOB_ID, json_option, narrate, print_json
from cockpit.regrading import Flips, Regrading
from cockpit.regrading import regrade as regrade_job
from engines.tasks.grading import GRADERS
from store.database import StoreError, open_database


@click.command()
@click.argument("job_ids", metavar="[JOB]...", type=JOB_ID, nargs=-1)
@click.option("--experiment", "-e", help="All evaluations of an experiment, by name or number.")
@click.option("--grader", type=click.Choice(GRADERS), help="Show only what this one says; all are stored.")
@click.option("--dry-run", is_flag=True, help="Show what would change; store nothing.")
@click.option("--verbose", "-v", is_flag=True, help="Name the completions that are judged differently.")
@json_option
def regrade(
    job_ids: tuple[int, ...],
    experiment: str | None,
    grader: str | None,
    dry_run: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Grade stored completions again with the current graders, and store the new grades and scores.

    JOBs are evaluations, or training jobs that were evaluated. Needs no GPU. Evaluations that were graded by different
    versions cannot be compared until the older ones are graded again.
    """
    database = open_database()
    ids = [*job_ids, *(comparison.evaluations_of(database, experiment) if experiment else [])]
    if not ids:
        raise click.UsageError("name a job, or an experiment with -e")
    done: dict[int, Regrading] = {}
    refused = 0
    for job_id in dict.fromkeys(ids):
        try:
            found = regrade_job(database, job_id, dry_run=dry_run)
            done.setdefault(found.job.id, found)  # a training job and its evaluation, both named, are one
        except StoreError as error:
            refused += 1
            narrate(output.foreign(f"error: {error}"))
    graders = [grader] if grader else list(GRADERS)
    if as_json:
        print_json([_as_json(found, graders, dry_run) for found in done.values()])
    else:
        _print(list(done.values()), graders, dry_run, verbose)
    return 1 if refused else 0


def _print(done: list[Regrading], graders: list[str], dry_run: bool, verbose: bool) -> None:
    rows = [
        [str(found.job.id), found.job.name, grader, *_cells(found.flips[grader])]
        for found in done
        for grader in graders
        if grader in found.flips
    ]
    if rows:
        headers = ["job", "model", "grader", "before", "now", "wrong to right", "right to wrong"]
        output.table(headers, rows, right="rllrrrr")
    for found in done:
        for grader in graders if verbose else ():
            if grader not in found.flips:
                continue
            for word, keys in (
                ("wrong to right", found.flips[grader].gained),
                ("right to wrong", found.flips[grader].lost),
            ):
                if keys:
                    click.echo(output.clean(f"job {found.job.id}, {grader}, {word}: {' '.join(keys)}"))
    for found in done:
        what = (
            f"{found.gist}{'; nothing is stored' if dry_run else ''}"
            if found.is_due
            else "nothing has changed"
        )
        narrate(output.clean(f"job {found.job.id} ({found.job.name}): {what}"))
    tpt = [found.job for found in done if found.job.engine == "tpt"]
    for job in tpt:
        narrate(output.clean(f"job {job.id} ({job.name}): the scores of its single rounds stay as they were"))


def _cells(flips: Flips) -> list[str]:
    before = "-" if flips.before is None else f"{flips.before:.1%}"
    changes = ["new", "new"] if flips.new else [str(len(flips.gained)), str(len(flips.lost))]
    return [before, f"{flips.now:.1%}", *changes]


def _as_json(found: Regrading, graders: list[str], dry_run: bool) -> dict[str, object]:
    return {
        "job": found.job.id,
        "name": found.job.name,
        "completions": found.completions,
        "changed": found.changed,
        "version_before": found.version,
        "version": found.now,
        "stored": found.is_due and not dry_run,
        "graders": {g: asdict(found.flips[g]) for g in graders if g in found.flips},
    }
