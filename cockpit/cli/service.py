"""Commands about the daemon and the machine: up, down, status, doctor."""

import os
import shutil
import sys
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from cockpit.cli import output
from cockpit.cli.output import json_option, narrate, print_json
from cockpit.figures import span
from cockpit.unit import unit_name, unit_path
from engines.recipe.errors import RecipeError
from store import jobs, machine, outbox, paths, slurm
from store.database import SQLITE_VERSION, StoreError, open_database
from store.schema import Status

NOTHING_RUNS = 3


@click.command()
@click.option("--cpu-slots", type=click.IntRange(1, 1024), help="Jobs without a GPU that may run at once.")
def up(cpu_slots: int | None) -> None:
    """Start the daemon, detached from this terminal. Jobs queued before are picked up."""
    from cockpit.control import start_daemon

    database = open_database()
    if machine.daemon_is_running(database.home):
        daemon = machine.get_daemon(database)
        narrate(f"a daemon is running already (pid {daemon.pid if daemon else '?'})")
        if cpu_slots and daemon and cpu_slots != daemon.cpu_slots:
            hint = "`tunedeck down` first; running jobs go on meanwhile"
            raise StoreError(f"it has {daemon.cpu_slots} CPU slots, not {cpu_slots}\nhint: {hint}")
        return
    if unit_path(database.home).exists():
        narrate(
            f"hint: this one is not systemd's; `systemctl --user start {unit_name(database.home)}` starts that"
        )
    pid = start_daemon(database, cpu_slots)
    narrate(f"the daemon is up (pid {pid}), home {database.home}")
    if Path("/run/systemd/system").exists():
        from cockpit.systemd import kills_user_processes

        if kills_user_processes():
            narrate(
                "warning: it goes when you log out, and its jobs with it (logind has KillUserProcesses=yes)\n"
                "hint: `tunedeck service install` makes it stay"
            )


@click.command()
@click.option(
    "--stop-jobs", is_flag=True, help="Stop running jobs at a checkpoint first; they go on after `up`."
)
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait.")
def down(stop_jobs: bool, timeout: float) -> int:
    """Stop the daemon. Running jobs go on and are adopted by the next one."""
    from cockpit.control import stop_daemon

    database = open_database()
    if not machine.daemon_is_running(database.home):
        narrate("no daemon is running")
        return NOTHING_RUNS
    if not stop_daemon(database, stop_jobs=stop_jobs, timeout=timeout):
        raise StoreError(
            f"the daemon has not stopped after {timeout:g} s\nhint: see {paths.daemon_log(database.home)}"
        )
    active = jobs.list_active(database)
    narrate("the daemon is down" + (f"; {len(active)} running jobs go on" if active else ""))
    return 0


@click.command()
@json_option
def status(as_json: bool) -> int:
    """Show the daemon, the slots and the queue. Exit code 3 when no daemon runs."""
    database = open_database()
    running = machine.daemon_is_running(database.home)
    daemon = machine.get_daemon(database)
    counts = jobs.count_by_status(database)
    held = machine.reservations(database)
    active = jobs.list_active(database)
    on_cards = {owner.job_id for owners in held.values() for owner in owners}
    busy = len([job for job in active if job.id not in on_cards and job.slurm is None])
    profiles, trouble = slurm.published(database)
    there = slurm.count_active(database)
    if as_json:
        print_json(
            {
                "home": str(database.home),
                "daemon": {"running": running, "pid": daemon.pid if daemon and running else None},
                "cpu_slots": {
                    "total": daemon.cpu_slots if daemon else None,
                    "busy": busy,
                },
                "gpus": [gpu | _owners(held.get(gpu["uuid"], [])) for gpu in (daemon.gpus if daemon else [])],
                "slurm": {
                    "profiles": {
                        name: {"slots": slots, "busy": there.get(name, 0)} for name, slots in profiles.items()
                    },
                    "trouble": trouble,
                },
                "jobs": {status.value: counts.get(status, 0) for status in Status},
            }
        )
        return 0 if running else NOTHING_RUNS
    click.echo(f"home    {database.home}")
    if running and daemon:
        click.echo(f"daemon  pid {daemon.pid}, up {span(time.time() - daemon.started_at)}")
        click.echo(f"CPU     {busy} of {daemon.cpu_slots} slots busy")
        for gpu in daemon.gpus:
            owners = ", ".join(output.share_text(owner) for owner in held.get(gpu["uuid"], []))
            state = owners or gpu.get("blocked") or "free"
            click.echo(output.clean(f"GPU     {gpu['name']}  {gpu['uuid']}  {state}"))
        for profile, slots in profiles.items():
            click.echo(f"Slurm   {profile}: {there.get(profile, 0)} of {slots} jobs there")
        if trouble:
            click.echo(output.clean(f"Slurm   does not answer: {trouble}"))
    else:
        click.echo("daemon  not running; `tunedeck up` starts it")
    shown = [f"{counts[state]} {output.status_text(state)}" for state in Status if counts.get(state)]
    click.echo(f"jobs    {', '.join(shown) or 'none'}")
    return 0 if running else NOTHING_RUNS


def _owners(owners: list[machine.Reservation]) -> dict[str, Any]:
    """The first job on a card, and all of them with their shares."""
    return {"job": owners[0].job_id if owners else None, "jobs": [asdict(owner) for owner in owners]}


@click.command()
@click.option(
    "--sandbox", is_flag=True, help="Try the attack matrix on the sandbox for code that models write."
)
@click.option(
    "--reindex", is_flag=True, help="Build the database again from the journal and the run directories."
)
@click.option(
    "--chaos", is_flag=True, help="Try the queue here: kill -9 at random moments, then count what is lost."
)
@click.option(
    "--trials", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Kills, with --chaos."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of their choice, with --chaos.")
@json_option
def doctor(sandbox: bool, reindex: bool, chaos: bool, trials: int, seed: int, as_json: bool) -> int:
    """Check this machine and installation. Exit code 1 when something is missing, or a promise is broken."""
    if sandbox:
        from cockpit.cli.sandbox import check_sandbox

        return check_sandbox(as_json)
    if reindex or chaos:
        from cockpit.cli.recovery import rebuild_database, try_chaos

        return rebuild_database(as_json) if reindex else try_chaos(trials, seed, as_json)
    home = paths.home()
    database = open_database(home)
    free = shutil.disk_usage(home).free
    checks: list[tuple[str, bool, str]] = [
        ("python", sys.version_info >= (3, 11), sys.version.split()[0]),
        ("sqlite", SQLITE_VERSION >= (3, 35), ".".join(map(str, SQLITE_VERSION))),
        ("linux", hasattr(os, "pidfd_open"), "pidfd is there" if hasattr(os, "pidfd_open") else "needs Linux 5.3+"),
        ("home", home.stat().st_mode & 0o077 == 0, f"{home}, mode {home.stat().st_mode & 0o777:o} (0700 is private)"),
        ("disk", free > 1 << 30, f"{free / (1 << 30):.1f} GiB free"),
        ("database", True, f"{paths.database(home).stat().st_size / (1 << 20):.1f} MiB"),
        ("training stack", all(map(find_spec, ("torch", "trl", "peft"))), "torch, trl, peft: `pip install 'tunedeck[train]'`"),
        ("notifications", *_notifications(home)),
    ]  # fmt: skip
    if line := _slurm_line(home):
        checks.append(("slurm", *line))
    running = machine.daemon_is_running(database.home)
    if as_json:
        print_json([{"check": name, "ok": ok, "detail": detail} for name, ok, detail in checks])
    else:
        output.table(["check", "", "detail"], [[n, "ok" if ok else "MISSING", d] for n, ok, d in checks])
        narrate(f"the daemon is {'running' if running else 'not running; `tunedeck up` starts it'}")
    return 0 if all(ok for _, ok, _ in checks) else 1


def _notifications(home: Path) -> tuple[bool, str]:
    """Whether all that `on_end` of `config.yaml` asks for was told, and what was not."""
    waiting, lost = sum(1 for _ in outbox.waiting(home)), outbox.given_up(home)
    said = f"{waiting} wait"
    if lost:
        said += f", {len(lost)} given up, the last: {lost[-1].get('error')}; remove {outbox.directory(home)}/*.failed"
    return not lost, output.clean(said)


def _slurm_line(home: Path) -> tuple[bool, str] | None:
    """Whether Slurm's commands are there for the profiles; nothing where there is neither."""
    from cockpit.profiles import names_in

    missing = [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None]
    try:
        names = names_in(home)
    except RecipeError as error:
        return False, str(error).splitlines()[0]
    if not names:
        return None if missing else (True, "is there; no profile in config.yaml")
    profiles = f"profiles: {', '.join(names)}"
    return not missing, f"{profiles}; not found: {', '.join(missing)}" if missing else profiles
