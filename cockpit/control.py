"""Starting and stopping the daemon from outside. It is a process of its own that outlives the terminal."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from store import machine, paths
from store.database import Database, StoreError

START_SECONDS = 30.0


def start_daemon(database: Database, cpu_slots: int | None = None) -> int:
    """Starts a daemon that is detached from this terminal; returns its pid once it works."""
    log = os.open(paths.daemon_log(database.home), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    slots = ["--cpu-slots", str(cpu_slots)] if cpu_slots else []
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "daemon", "--home", str(database.home), *slots],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        start_new_session=True,
    )
    os.close(log)

    def is_up() -> bool:
        daemon = machine.get_daemon(database)
        return process.poll() is not None or (daemon is not None and daemon.pid == process.pid)

    _wait(is_up, START_SECONDS)
    if process.poll() is not None and not machine.daemon_is_running(database.home):
        raise StoreError(
            f"the daemon did not start: {_last_line(paths.daemon_log(database.home))}\n"
            f"hint: the whole story is in {paths.daemon_log(database.home)}"
        )
    daemon = machine.get_daemon(database)
    return daemon.pid if daemon else process.pid


def stop_daemon(database: Database, *, stop_jobs: bool, timeout: float) -> bool:
    """Asks the daemon to stop and waits until it has. False when it takes longer than `timeout` seconds."""

    def is_down() -> bool:
        if not machine.daemon_is_running(database.home):
            return True
        # Said again and again: a daemon that was just starting has not heard it the first time.
        machine.request_stop(database, stop_jobs=stop_jobs)
        machine.nudge(database.home)
        return False

    return _wait(is_down, timeout)


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
