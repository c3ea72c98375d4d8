"""A store in a temporary home, a real daemon on it, and waiting on conditions."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.processes import send
from store import machine, paths
from store.database import Database, open_database
from store.jobs import get_job, list_jobs
from store.lifecycle import NewJob, enqueue

Until = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of whole runs stand above those of parts: begun first, none is left for one of two workers at the end."""
    items.sort(key=lambda item: len(item.path.parts))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("TUNEDECK_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return home


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    database = open_database(home)
    yield database
    database.close()


@pytest.fixture
def until() -> Until:
    """Waits for a condition; fails when it does not come true in time."""

    def wait(condition: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.02)

    return wait


@pytest.fixture
def start_daemon(database: Database, until: Until) -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Starts real daemons on the test's home; ends them and their jobs afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> "subprocess.Popen[bytes]":
        with paths.daemon_log(database.home).open("ab") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-P", "-m", "daemon", "--home", str(database.home), *arguments],
                stdout=log,
                stderr=log,
            )
        started.append(daemon)
        until(lambda: (row := machine.get_daemon(database)) is not None and row.pid == daemon.pid)
        return daemon

    yield start
    for daemon in started:
        daemon.kill()
        daemon.wait()
    _end_supervised(database)


def _end_supervised(database: Database) -> None:
    """No process of a test outlives it."""
    from daemon.launch import process_file
    from daemon.records import read_record
    from daemon.remnants import end_remnants

    for job in list_jobs(database):
        run_dir = database.run_dir(job.id)
        if process := read_record(process_file(run_dir, job.attempt)):
            send(process["supervisor"], signal.SIGKILL)
            end_remnants(process["supervisor"], run_dir)


def command(*argv: str, **fields: Any) -> dict[str, Any]:
    """The resolved recipe of a `command` job."""
    from engines.command import Recipe

    recipe = Recipe.model_validate({"engine": "command", "argv": list(argv), **fields})
    return recipe.model_dump(mode="json", by_alias=True)


@pytest.fixture
def submit(database: Database) -> Callable[..., int]:
    """Queues one `command` job and wakes the daemon. Returns its id."""

    def submit(
        *argv: str,
        name: str = "job",
        retries: int = 0,
        gpus: int | None = 0,
        gpu_memory: int | None = None,
        **fields: Any,
    ) -> int:
        recipe = command(*argv, **fields)
        job = NewJob(name, "command", recipe, gpus=gpus, retries=retries, gpu_memory=gpu_memory)
        _, [job_id] = enqueue(database, "test", [job])
        machine.nudge(database.home)
        return job_id

    return submit


@pytest.fixture
def ended(database: Database, until: Until) -> Callable[[int], Any]:
    """Waits until a job has ended and returns it."""

    def wait(job_id: int, seconds: float = 60.0) -> Any:
        until(lambda: get_job(database, job_id).is_final, seconds)
        return get_job(database, job_id)

    return wait
