"""Commands that read the queue: jobs, show, why."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cockpit.cli import output
from cockpit.cli.output import job_id, json_option, narrate, print_json
from cockpit.figures import figure, size_text, span
from cockpit.plain.mode import is_plain
from cockpit.plain_text import plain_lines
from cockpit.waiting import explain_wait
from store import jobs as store_jobs
from store import results
from store.database import open_database
from store.filter_language import parse
from store.filter_tree import FilterError, Node
from store.jobs import Job
from store.pruning import read_marker
from store.schema import FINAL, Status


def _filter(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Node:
    try:
        return parse("" if value is None else value)
    except FilterError as error:
        raise click.BadParameter(f"{error.text}\nhint: {error.hint}") from error


@click.command()
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice([s.value for s in Status]), help="Only these."
)
@click.option("--experiment", "-e", help="Only this experiment, by name or number.")
@click.option(
    "--filter",
    "-f",
    "where",
    callback=_filter,
    metavar="WORDS",
    help="Only what these words find, e.g. 'sft acc>0.5 NOT status:failed', 'name:/seed=[12]$/', 'age<2h'.",
)
@click.option("--limit", "-n", type=click.IntRange(1), help="Only the newest N.")
@json_option
def jobs(
    statuses: tuple[str, ...], experiment: str | None, where: Node, limit: int | None, as_json: bool
) -> None:
    """List jobs, oldest first.

    WORDS are what the filter of the terminal UI takes: words (`!word` leaves out), `status:`, `exp:`, `name:`, `engine:`,
    `group:` and `reason:` with text or /regex/, `acc`, `loss`, `done`, `id`, `priority`, `gpus` and `attempt` with numbers,
    `age` and `took` with spans such as 2h; joined by AND, OR, NOT and brackets.
    """
    database = open_database()
    rows = store_jobs.list_jobs(
        database, statuses=[Status(s) for s in statuses], experiment=experiment, limit=limit, where=where
    )
    if as_json:
        print_json([_summary(job) for job in rows])
        return
    if not rows:
        narrate("no jobs\nhint: `tunedeck submit demo` queues some")
        return
    if is_plain():
        from cockpit.plain.sentences import jobs_in_words

        click.echo("\n".join(jobs_in_words(database, rows, limit)))
        return
    output.table(
        ["id", "experiment", "job", "engine", "status", "progress", "time", "eta", "reason"],
        [
            [
                str(job.id),
                job.experiment,
                job.name,
                job.engine,
                output.Styled(
                    output.status_text(job.status) + " (held)" * (job.held and job.status not in FINAL)
                ),
                output.progress_text(job),
                span(output.running_seconds(job)),
                span(output.eta_seconds(job)),
                job.reason or "",
            ]
            for job in rows
        ],
        right="r",
    )


@click.command()
@job_id
@json_option
def show(job_id: int, as_json: bool) -> None:
    """Everything about a job: state, attempts, scores, artifacts, messages, resolved recipe."""
    from cockpit.origins import environment_of, provenance_lines  # brings in the schemas of recipes

    database = open_database()
    job = store_jobs.get_job(database, job_id)
    attempts = results.list_attempts(database, job_id)
    scores = results.list_scores(database, [job_id])
    artifacts = results.list_artifacts(database, job_id)
    messages = results.list_messages(database, job_id)
    history = results.list_transitions(database, job_id)
    if as_json:
        everything = {
            "attempts": [asdict(attempt) for attempt in attempts],
            "scores": [asdict(score) for score in scores],
            "artifacts": [asdict(artifact) for artifact in artifacts],
            "messages": [asdict(message) for message in messages],
            "pruned": read_marker(database.run_dir(job_id)),
            "provenance": results.get_experiment(database, job.experiment_id).provenance,
            "environment": environment_of(database, job),
            "history": [asdict(transition) for transition in history],
            "needs": [needed.id for needed, _ in store_jobs.needs_of(database, job_id)],
        }
        print_json(_summary(job) | {"recipe": job.recipe} | everything)
        return
    if is_plain():
        from cockpit.plain.sentences import job_sentence

        click.echo(job_sentence(database, job, output.eta_seconds(job)))
    else:
        click.echo(
            f"{job.id}  {job.name}  {output.status_text(job.status)}  {output.clean(job.reason or '')}".rstrip()
        )
    click.echo(f"experiment  {job.experiment} ({job.experiment_id})")
    click.echo(f"run         {database.run_dir(job.id)}")
    for label, text in provenance_lines(database, job):
        click.echo(output.clean(f"{label:<11} {text}"))
    if text := output.progress_text(job):
        eta = span(output.eta_seconds(job))
        click.echo(f"progress    {text}{f', {eta} left' if eta else ''}")
    for attempt in attempts:
        usage = attempt.usage or {}
        took = span((attempt.ended_at or time.time()) - (attempt.started_at or attempt.claimed_at))
        cpu = f", {usage['cpu_seconds']:.1f} CPU s" if "cpu_seconds" in usage else ""
        where = f", on {', '.join(attempt.devices)}" if attempt.devices else ""
        if attempt.slurm:
            where += (
                f", in Slurm as {attempt.slurm.get('id', '?')} (profile {attempt.slurm.get('profile', '?')})"
            )
        changed = f", with {json.dumps(attempt.changes)}" if attempt.changes else ""
        said = f"attempt {attempt.number:<3} {attempt.outcome or 'runs'}, {took}{cpu}{where}{changed}"
        click.echo(output.clean(said))
    for score in scores:
        interval = score.fields
        bounds = [figure(score.name, interval[end]) for end in ("low", "high") if end in interval]
        shown = f"  [{', '.join(bounds)}]" if bounds else ""
        click.echo(output.clean(f"score       {score.name} {figure(score.name, score.value)}{shown}"))
    gone = read_marker(database.run_dir(job.id))
    names = tuple(name for entry in gone for name in entry["names"])
    for artifact in artifacts:
        pruned = " (pruned)" if any(Path(artifact.path).is_relative_to(name) for name in names) else ""
        click.echo(output.clean(f"artifact    {artifact.name}  {artifact.path}{pruned}"))
    for entry in gone:
        what = f"{', '.join(entry['names'])}, {size_text(entry['bytes'])}, {output.moment(entry['time'])}"
        click.echo(output.clean(f"pruned      {what}"))
    for message in messages:
        if message.text:
            first, *more = plain_lines(message.text)
            click.echo("\n".join([f"{message.level:<11} {first}", *(f"{'':<11} {line}" for line in more)]))
    import yaml

    click.echo("\nrecipe")
    click.echo(
        "\n".join(plain_lines(yaml.safe_dump(job.recipe, sort_keys=False, allow_unicode=True))).rstrip()
    )


@click.command()
@job_id
def why(job_id: int) -> None:
    """Say why a job is waiting."""
    database = open_database()
    job = store_jobs.get_job(database, job_id)
    first, *cards = explain_wait(database, job).split("\n")
    click.echo(output.clean(f"job {job.id} ({job.name}) is {job.status}: {first}"))
    for line in cards:
        click.echo(f"  {output.clean(line.strip())}")


def _summary(job: Job) -> dict[str, Any]:
    """A job as `--json` shows it."""
    keys = asdict(job)
    for internal in ("recipe", "events_offset"):
        del keys[internal]
    return keys | {"status": job.status.value, "eta_seconds": output.eta_seconds(job)}
