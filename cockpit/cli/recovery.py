"""`tunedeck doctor --reindex` and `--chaos`: rebuild the database, and try the queue with kill -9 on this very machine.

Both are programs of the daemon's; nothing of it is imported here.
"""

import json
import subprocess
import sys

import click

from cockpit.cli.output import narrate, print_json
from store import machine, paths
from store.database import StoreError


def rebuild_database(as_json: bool) -> int:
    """Builds the database again from the home's other files. Exit code 1 when that cannot be."""
    home = paths.home()
    if home.is_dir() and machine.daemon_is_running(home):
        raise StoreError(f"{home}: a daemon runs here\nhint: `tunedeck down` first; running jobs go on")
    argv = [sys.executable, "-P", "-m", "daemon.reindex", "--home", str(home)]
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise StoreError(
            done.stderr.strip().removeprefix("error: ") or "the rebuild was killed\nhint: start it again"
        )
    rebuilt = json.loads(done.stdout)
    if as_json:
        print_json(rebuilt)
        return 0
    click.echo(
        f"{rebuilt['jobs']} jobs of {rebuilt['experiments']} experiments, {rebuilt['lines']} lines of events"
    )
    for path in rebuilt["unreadable"]:
        narrate(f"warning: {path}: cannot be read and is left out")
    if rebuilt["found"]:
        narrate(f"jobs {_numbers(rebuilt['found'])}: known by their run directories alone; they are held")
    if rebuilt["set_aside"]:
        narrate(f"the old database is kept as {rebuilt['set_aside']}")
    narrate("hint: `tunedeck up` starts the daemon, which settles what has ended meanwhile")
    return 0


def try_chaos(trials: int, seed: int, as_json: bool) -> int:
    """Runs the trials in homes of their own and prints their report. Exit code 1 when a promise is broken."""
    narrate(f"{trials} times kill -9, in a temporary home; the queue of {paths.home()} is not touched")
    argv = [sys.executable, "-P", "-m", "daemon.chaos", "--trials", str(trials), "--seed", str(seed)]
    return subprocess.run([*argv, *(["--json"] if as_json else [])]).returncode


def _numbers(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:10])) + (", ..." if len(ids) > 10 else "")
