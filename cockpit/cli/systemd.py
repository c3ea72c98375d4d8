"""`tunedeck service`: the daemon as a systemd user unit, and what to do where there is no systemd."""

import sys
from dataclasses import asdict
from pathlib import Path

import click

from cockpit import systemd
from cockpit.cli.output import json_option, narrate, print_json
from cockpit.unit import ENVIRONMENT_FILE, cron_line, unit_name, unit_path, unit_text
from store import machine, paths
from store.database import StoreError

NOTHING_RUNS = 3


@click.command()
@click.argument("action", type=click.Choice(["install", "uninstall", "status", "show"]), default="status")
@click.option("--cpu-slots", type=click.IntRange(1, 1024), help="Jobs without a GPU that may run at once.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@json_option
def service(action: str, cpu_slots: int | None, dry_run: bool, as_json: bool) -> int:
    """Let systemd run the daemon: `service install`, `uninstall`, `status`, and `show` prints the unit.

    It is a unit of your own user; no root is needed. Jobs outlive a stop or restart of it.
    """
    home = paths.home()
    text = unit_text(home, sys.executable, cpu_slots)
    if action == "show":
        click.echo(text, nl=False)
        return 0
    if action == "status":
        return _status(home, as_json)
    if action == "install":
        _install(home, text, dry_run)
    else:
        _uninstall(home, dry_run)
    return 0


def _install(home: Path, text: str, dry_run: bool) -> None:
    path, name = unit_path(home), unit_name(home)
    absent = systemd.why_absent()
    if dry_run:
        click.echo(text, nl=False)
        narrate(f"would write {path}, enable it and start it" if absent is None else _without(home, absent))
        return
    if absent is not None:
        raise StoreError(_without(home, absent))
    state = systemd.unit_state(name)
    if state.pid == 0 and machine.daemon_is_running(home):
        raise StoreError(
            "a daemon runs already, which systemd did not start\nhint: `tunedeck down` first; running jobs go on"
        )
    changed = not path.exists() or path.read_text(encoding="utf-8") != text
    paths.create(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.rename(path)
    systemd.user_command("daemon-reload")
    systemd.user_command("enable", name)
    systemd.user_command("restart" if changed else "start", name)
    narrate(f"{path} is enabled and runs")
    narrate(f"its environment is what this shell has now; {home / ENVIRONMENT_FILE} may add variables to it")
    for line in _advice():
        narrate(line)


def _uninstall(home: Path, dry_run: bool) -> None:
    path, name = unit_path(home), unit_name(home)
    if not path.exists():
        narrate(f"{path}: is not there")
        return
    if dry_run:
        narrate(f"would stop the daemon, disable {name} and remove {path}; running jobs go on")
        return
    if systemd.why_absent() is None:
        systemd.user_command("disable", "--now", name)
    path.unlink()
    (path.parent / "default.target.wants" / name).unlink(missing_ok=True)
    if systemd.why_absent() is None:
        systemd.user_command("daemon-reload")
    narrate(f"{path} is removed; running jobs go on, and `tunedeck up` starts a daemon that takes them over")


def _status(home: Path, as_json: bool) -> int:
    """Exit code 3 unless systemd runs the daemon."""
    path, absent = unit_path(home), systemd.why_absent()
    state = systemd.unit_state(unit_name(home)) if absent is None else None
    runs = state is not None and state.active == "active"
    if as_json:
        print_json(
            {
                "unit": str(path),
                "installed": path.exists(),
                "absent": absent,
                "state": asdict(state) if state else None,
                "lingers": systemd.lingers(),
                "kills_user_processes": systemd.kills_user_processes(),
            }
        )
        return 0 if runs else NOTHING_RUNS
    click.echo(f"unit    {path}{'' if path.exists() else ' (not installed)'}")
    if state is None:
        narrate(_without(home, str(absent)))
        return NOTHING_RUNS
    enabled = f", {state.enabled}" if state.enabled else ""
    click.echo(f"state   {state.active}{enabled}{f', pid {state.pid}' if state.pid else ''}")
    if state.restarts:
        click.echo(f"        restarted {state.restarts} times; {paths.daemon_log(home)} says why")
    if not runs and machine.daemon_is_running(home):
        click.echo("        a daemon runs all the same: `tunedeck up` started it")
    for line in _advice():
        narrate(line)
    return 0 if runs else NOTHING_RUNS


def _advice() -> list[str]:
    """What logind does when the last session ends, and what helps."""
    lines = []
    linger = systemd.lingers()
    if linger is not True:
        known = "" if linger is False else " (logind does not say whether that is set already)"
        lines.append(
            f"hint: `loginctl enable-linger {systemd.user_name()}` keeps it running after you log out,"
            f" and starts it at boot{known}"
        )
    if systemd.kills_user_processes():
        lines.append(
            "warning: logind ends a session's processes when it closes (KillUserProcesses=yes): a daemon that `tunedeck up`"
            " started goes then, and its jobs with it; one that systemd runs, with lingering, stays"
        )
    return lines


def _without(home: Path, absent: str) -> str:
    """What there is instead."""
    return (
        f"{absent}\n"
        "hint: `tunedeck up` needs no systemd: its daemon leaves the terminal and goes on when you log out."
        " After a restart of the machine or container run it again: jobs that ran then are lost, and go on from their"
        " checkpoints where `retry` covers that. Where there is cron, this line in `crontab -e` starts it at boot:\n"
        f"    {cron_line(home, sys.executable)}\n"
        "In a container: the same command, without `@reboot`, in what it runs at its start."
    )
