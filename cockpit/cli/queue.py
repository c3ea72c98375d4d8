"""Commands about jobs: list, show, why, wait, logs, and the wishes."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from cockpit.cli import output
from cockpit.cli.output import json_option, narrate, print_json
from cockpit.figures import span
from cockpit.plain_text import plain_lines
from store import jobs as store_jobs
from store import machine, results, wishes
from store.database import Database, StoreError, open_database
from store.jobs import Job
from store.schema import FINAL, Status

job_ids = click.argument("job_ids", metavar="JOB...", type=int, nargs=-1, required=True)
job_id = click.argument("job_id", metavar="JOB", type=int)


@click.command()
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice([s.value for s in Status]), help="Only these."
)
@click.option("--experiment", "-e", help="Only this experiment, by name or number.")
@click.option("--limit", "-n", type=click.IntRange(1), help="Only the newest N.")
@json_option
def jobs(statuses: tuple[str, ...], experiment: str | None, limit: int | None, as_json: bool) -> None:
    """List jobs, oldest first."""
    database = open_database()
    rows = store_jobs.list_jobs(
        database, statuses=[Status(s) for s in statuses], experiment=experiment, limit=limit
    )
    if as_json:
        print_json([_summary(job) for job in rows])
        return
    if not rows:
        narrate("no jobs\nhint: `tunedeck submit demo` queues some")
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
            "history": [asdict(transition) for transition in history],
            "needs": [needed.id for needed, _ in store_jobs.needs_of(database, job_id)],
        }
        print_json(_summary(job) | {"recipe": job.recipe} | everything)
        return
    click.echo(
        f"{job.id}  {job.name}  {output.status_text(job.status)}  {output.clean(job.reason or '')}".rstrip()
    )
    click.echo(f"experiment  {job.experiment} ({job.experiment_id})")
    click.echo(f"run         {database.run_dir(job.id)}")
    if text := output.progress_text(job):
        eta = span(output.eta_seconds(job))
        click.echo(f"progress    {text}{f', {eta} left' if eta else ''}")
    for attempt in attempts:
        usage = attempt.usage or {}
        took = span((attempt.ended_at or time.time()) - (attempt.started_at or attempt.claimed_at))
        cpu = f", {usage['cpu_seconds']:.1f} CPU s" if "cpu_seconds" in usage else ""
        click.echo(f"attempt {attempt.number:<3} {attempt.outcome or 'runs'}, {took}{cpu}")
    for score in scores:
        interval = score.fields
        shown = f"  [{interval['low']:.3f}, {interval['high']:.3f}]" if "low" in interval else ""
        value = "" if score.value is None else f"{score.value:.4g}"
        click.echo(output.clean(f"score       {score.name} {value}{shown}"))
    for artifact in artifacts:
        click.echo(output.clean(f"artifact    {artifact.name}  {artifact.path}"))
    for message in messages:
        if message.text:
            click.echo(output.clean(f"{message.level:<11} {message.text}"))
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
    click.echo(output.clean(f"job {job.id} ({job.name}) is {job.status}: {explain_wait(database, job)}"))


def explain_wait(database: Database, job: Job) -> str:
    """Why a job is where it is, in words."""
    if job.is_final or job.status not in (Status.QUEUED, Status.BLOCKED):
        return job.reason or "it is not waiting"
    if job.held:
        return f"it is held; `tunedeck release {job.id}` lets it go"
    if job.status is Status.BLOCKED:
        waits_for = [n for n, _ in store_jobs.needs_of(database, job.id) if n.status is not Status.SUCCEEDED]
        return "it needs " + ", ".join(f"`{n.name}` (job {n.id}, {n.status})" for n in waits_for)
    if not machine.daemon_is_running(database.home):
        return "no daemon is running; `tunedeck up` starts one"
    daemon = machine.get_daemon(database)
    gpus = len(daemon.gpus) if daemon else 0
    wanted = min(1, gpus) if job.gpus is None else job.gpus
    if wanted > gpus:
        return f"it wants {wanted} GPUs and this machine has {gpus}"
    ahead = store_jobs.ahead_of(database, job)
    what = f"{wanted} GPU{'s' * (wanted > 1)}" if wanted else "a CPU slot"
    return f"it waits for {what}; {ahead} ready job{'s' * (ahead != 1)} ahead of it"


@click.command()
@job_ids
@click.option("--timeout", type=float, help="Give up after this many seconds (exit code 1).")
def wait(job_ids: tuple[int, ...], timeout: float | None) -> int:
    """Wait until all of these jobs have ended. Exit code 0 when all succeeded, else 1."""
    database = open_database()
    deadline = None if timeout is None else time.monotonic() + timeout
    for job_id in job_ids:
        while not (job := store_jobs.get_job(database, job_id)).is_final:
            if deadline is not None and time.monotonic() > deadline:
                raise StoreError(f"job {job_id}: is still {job.status} after {timeout:g} s")
            time.sleep(0.2)
    ended = [store_jobs.get_job(database, job_id) for job_id in job_ids]
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
    offset = _print_log(path, _tail_offset(path, lines) if lines is not None else 0)
    while follow and not job.is_final:
        time.sleep(0.2)
        job = store_jobs.get_job(database, job_id)
        offset = _print_log(path, offset)
    return 1 if follow and job.status is not Status.SUCCEEDED else 0


def _print_log(path: Path, offset: int) -> int:
    if not path.exists():
        return offset
    with path.open("rb") as file:
        file.seek(offset)
        while block := file.read(1 << 20):
            # Into a file or a pipe go the very bytes: a block may end inside a character.
            shown = output.foreign(block.decode("utf-8", "replace")) if sys.stdout.isatty() else block
            click.echo(shown, nl=False)
        return file.tell()


def _tail_offset(path: Path, lines: int) -> int:
    """Where the last `lines` lines begin, read from the end: logs can be large."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        position = file.seek(0, 2)
        tail = b""
        while position > 0 and tail.count(b"\n") <= lines:
            step = min(1 << 16, position)
            position = file.seek(position - step)
            tail = file.read(step) + tail
    kept = tail.splitlines(keepends=True)[-lines:] if lines else []
    return position + len(tail) - sum(map(len, kept))


def _wish(name: str, text: str, act: Callable[[Database, int], Job]) -> click.Command:
    """A command that wishes one thing of each of several jobs, and reports all that was refused."""

    @click.command(name, help=text)
    @job_ids
    def command(job_ids: tuple[int, ...]) -> int:
        database = open_database()
        refused = 0
        for job_id in job_ids:
            try:
                job = act(database, job_id)
                said = "will be stopped" if job.cancel_requested and not job.is_final else f"is {job.status}"
                narrate(output.clean(f"job {job.id} ({job.name}) {said}{' (held)' if job.held else ''}"))
            except StoreError as error:
                refused += 1
                narrate(f"error: {error}")
        machine.nudge(database.home)
        return 1 if refused else 0

    return command


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


@click.command()
@job_ids
@click.option("--to", "level", type=click.IntRange(-1000, 1000), required=True, help="Higher runs first.")
def priority(job_ids: tuple[int, ...], level: int) -> None:
    """Change the priority of waiting jobs."""
    database = open_database()
    for job_id in job_ids:
        job = wishes.set_priority(database, job_id, level)
        narrate(f"job {job.id} ({job.name}) has priority {level}")
    machine.nudge(database.home)


def _summary(job: Job) -> dict[str, Any]:
    """A job as `--json` shows it."""
    keys = asdict(job)
    for internal in ("recipe", "events_offset"):
        del keys[internal]
    return keys | {"status": job.status.value, "eta_seconds": output.eta_seconds(job)}
