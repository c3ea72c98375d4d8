"""The process that supervisors are forked from: comes back when it is killed, and goes with the daemon."""

import fcntl
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.launch import exit_file, is_supervised, process_file, supervisor_of
from daemon.nursery import Nursery
from daemon.records import read_record
from store.schema import Status

Start = Callable[..., Any]


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    opened = Nursery(dict(os.environ))
    yield opened
    opened.close()


def children(parent: int) -> list[int]:
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            state, ppid = (directory / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(ppid) == parent and state not in "ZX":
            found.append(int(directory.name))
    return found


def launched(folder: Path, *argv: str, env: dict[str, str] | None = None) -> tuple[Path, int]:
    """A run directory with a launch, and its lock."""
    folder.mkdir(parents=True)
    launch = {"argv": argv, "cwd": str(folder), "env": env or {}, "timeout": None, "grace_seconds": 30}
    (folder / "launch.json").write_text(json.dumps(launch))
    lock = os.open(folder / "supervisor.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def test_a_killed_nursery_costs_no_job(start_daemon: Start, submit: Any, ended: Any, until: Any) -> None:
    daemon = start_daemon()
    assert ended(submit("true", name="a")).status is Status.SUCCEEDED
    (born,) = children(daemon.pid)
    os.kill(born, signal.SIGKILL)

    assert ended(submit("true", name="b")).status is Status.SUCCEEDED
    assert children(daemon.pid) != [born]


def test_the_nursery_goes_with_the_daemon_and_running_jobs_stay(
    start_daemon: Start, database: Any, submit: Any, ended: Any, until: Any
) -> None:
    daemon = start_daemon()
    job_id = submit("sh", "-c", "until test -e $TUNEDECK_RUN_DIR/go; do sleep 0.02; done; exit 5")
    run_dir = database.run_dir(job_id)
    until(process_file(run_dir, 1).exists)
    (born,) = children(daemon.pid)
    daemon.kill()
    daemon.wait()

    until(lambda: not Path(f"/proc/{born}").exists() or "Z" in Path(f"/proc/{born}/stat").read_text())
    assert is_supervised(run_dir)
    (run_dir / "go").touch()
    start_daemon()
    assert ended(job_id).exit_code == 5


def test_who_supervises_stands_in_the_lock_before_the_worker_begins(
    nursery: Nursery, tmp_path: Path, until: Any
) -> None:
    run_dir, lock = launched(tmp_path / "runs" / "1", "sh", "-c", "cp supervisor.lock seen")
    nursery.fork(run_dir, 3, lock)
    os.close(lock)
    until(exit_file(run_dir, 3).exists)

    process = read_record(process_file(run_dir, 3))
    assert process is not None
    assert json.loads((run_dir / "seen").read_text())["supervisor"] == process["supervisor"]
    assert supervisor_of(run_dir, 3) == process["supervisor"]
    assert supervisor_of(run_dir, 2) is None


def test_a_program_is_found_on_the_path_that_the_job_names(
    nursery: Nursery, tmp_path: Path, until: Any
) -> None:
    tool = tmp_path / "bin" / "only-here"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit 6\n")
    tool.chmod(0o755)
    run_dir, lock = launched(
        tmp_path / "runs" / "1", "only-here", env={"PATH": f"{tool.parent}:/usr/bin:/bin"}
    )
    nursery.fork(run_dir, 1, lock)
    os.close(lock)
    until(exit_file(run_dir, 1).exists)

    ending = read_record(exit_file(run_dir, 1))
    assert ending is not None
    assert ending["exit_code"] == 6


def test_a_broken_pipe_ends_a_workers_part_of_a_pipeline(
    nursery: Nursery, tmp_path: Path, until: Any
) -> None:
    run_dir, lock = launched(tmp_path / "runs" / "1", "sh", "-c", "yes | head -1; echo $PPID >done")
    nursery.fork(run_dir, 1, lock)
    os.close(lock)
    until(exit_file(run_dir, 1).exists)

    assert (run_dir / "worker.log").read_text() == "y\n"
