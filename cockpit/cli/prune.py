"""`tunedeck prune`: shows what would go and what has to stay, asks, and makes room."""

import sys
import time
from collections import defaultdict
from dataclasses import asdict

import click

from cockpit.cli import output
from cockpit.cli.output import JOB_ID, json_option, narrate, print_json
from cockpit.figures import size_text
from engines.recipe.times import age_of
from store import jobs
from store.database import StoreError, open_database
from store.pruning import prune as take_away
from store.retention import BULK, KINDS, Spared, Victim, Wish, find_victims

SHOWN = 20


def _age(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else age_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("job_ids", metavar="[JOB]...", type=JOB_ID, nargs=-1)
@click.option("--experiment", "-e", help="Only its jobs, by name or number.")
@click.option("--checkpoints", is_flag=True, help="Checkpoints of succeeded jobs; what is meant by default.")
@click.option("--runs", is_flag=True, help="Of ended jobs: checkpoints, logs and debug files.")
@click.option("--models", is_flag=True, help="Of ended jobs: their models.")
@click.option("--orphans", is_flag=True, help="Run directories that belong to no job.")
@click.option("--cache", is_flag=True, help="What can be made again, such as completions.")
@click.option("--databases", is_flag=True, help="Databases that a rebuild has set aside.")
@click.option(
    "--older-than",
    metavar="AGE",
    callback=_age,
    help="Like `30 days`: since a job ended, or a file was used.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def prune(
    job_ids: tuple[int, ...],
    experiment: str | None,
    older_than: float | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **kinds: bool,
) -> int:
    """Make room. Shows what would go and how much that is, and asks.

    A pruned run keeps its records, metrics, scores and completions: it can be shown, compared, reported and graded again.
    Nothing goes that a waiting or running job starts from, and no model from which another one was made that stays.
    """
    wanted = [kind for kind in KINDS if kinds[kind]] or ["checkpoints"]
    scoped = bool(job_ids) or experiment is not None
    _check(wanted, scoped, older_than)
    database = open_database()
    chosen: frozenset[int] | None = None
    if scoped:
        for job_id in job_ids:
            jobs.get_job(database, job_id)
        found = jobs.list_jobs(database, experiment=experiment) if experiment is not None else []
        if experiment is not None and not found:
            raise StoreError(
                f"experiment `{experiment}`: there is no such experiment\nhint: `tunedeck jobs` names them"
            )
        chosen = frozenset(job_ids) | {job.id for job in found}
    victims, spared = find_victims(database, Wish(wanted, older_than or 0.0, chosen), time.time())
    if as_json and (dry_run or not yes):
        _print_json(victims, spared, None)
        return 0
    if not as_json:
        _show(victims, spared)
    if not victims:
        narrate("nothing to prune")
        return 0
    if dry_run:
        return 0
    if not yes:
        if not sys.stdin.isatty():
            narrate("nothing is pruned\nhint: `--yes` does it")
            return 1
        click.confirm("Delete these for good?", abort=True, err=True)
    done = take_away(database, victims)
    if as_json:
        _print_json(victims, spared, asdict(done))
    left = f"; {done.spared} left, as jobs need them by now" if done.spared else ""
    narrate(f"{done.paths} paths pruned, {size_text(done.bytes)}{left}")
    return 0


def _check(wanted: list[str], scoped: bool, older_than: float | None) -> None:
    others = [kind for kind in wanted if kind not in BULK]
    if scoped and others:
        raise click.UsageError(f"`--{others[0]}` belongs to no job: leave the jobs and the experiment out")
    if not scoped and older_than is None and {"runs", "models"} & set(wanted):
        raise click.UsageError("`--runs` and `--models` need jobs, `-e EXPERIMENT`, or `--older-than AGE`")


def _show(victims: list[Victim], spared: list[Spared]) -> None:
    groups: dict[tuple[str, int | None], list[Victim]] = defaultdict(list)
    for victim in victims:
        groups[victim.kind, victim.job_id].append(victim)
    rows = []
    for (kind, job_id), mine in groups.items():
        names = ", ".join(str(victim.path.name) for victim in mine[:3]) + (", ..." if len(mine) > 3 else "")
        rows.append(
            [kind, "" if job_id is None else str(job_id), names, size_text(sum(v.bytes for v in mine))]
        )
    if rows:
        total = size_text(sum(victim.bytes for victim in victims))
        output.table(["kind", "job", "what", "size"], [*rows, ["in all", "", "", total]], right="lrlr")
    for one in spared[:SHOWN]:
        narrate(output.clean(f"stays: {one.kind} of job {one.job_id}: {one.why}"))
    if len(spared) > SHOWN:
        narrate(f"stays: and of {len(spared) - SHOWN} more jobs")


def _print_json(victims: list[Victim], spared: list[Spared], done: dict[str, int] | None) -> None:
    print_json(
        {
            "victims": [asdict(victim) for victim in victims],
            "bytes": sum(victim.bytes for victim in victims),
            "spared": [asdict(one) for one in spared],
            "done": done,
        }
    )
