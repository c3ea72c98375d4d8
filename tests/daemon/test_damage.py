"""A full disk, a home that cannot be written, a reboot, a clock that jumps, an events file with holes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.identity import identify
from daemon.ingest import ingest
from store import jobs, lifecycle, machine, metrics, results
from store.database import Database, StoreError, open_database
from store.lifecycle import NewJob
from store.schema import Status


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """The home on a disk of its own of 4 MiB, which needs the right to mount one."""
    home.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(home)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a disk of one's own needs the right to mount one")
    yield home
    subprocess.run(["umount", "-l", str(home)], check=True)


def fill(home: Path) -> Path:
    ballast = home / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"x" * size):
                    pass
            except OSError:
                continue
    return ballast


def test_on_a_full_disk_nothing_is_queued_by_halves_and_all_goes_on_when_there_is_room(
    small_disk: Path, start_daemon: Any, database: Database, submit: Any, ended: Any, until: Any
) -> None:
    daemon = start_daemon()
    running = submit("sh", "-c", "until test -e $TUNEDECK_RUN_DIR/../../finish; do sleep 0.02; done; exit 7")
    until(lambda: jobs.get_job(database, running).status is Status.RUNNING)
    ballast = fill(small_disk)
    with pytest.raises((StoreError, OSError)):
        for i in range(2000):  # the log of the database may have had room
            submit("true", name=f"j{i}" + "x" * 1000)
    queued = [job.id for job in jobs.list_jobs(database)]
    ballast.unlink()
    (small_disk / "finish").touch()

    assert ended(running).exit_code == 7
    assert [ended(job_id).status for job_id in queued[1:]] == [Status.SUCCEEDED] * (len(queued) - 1)
    assert ended(submit("true", name="after")).status is Status.SUCCEEDED
    assert daemon.poll() is None


def test_a_home_that_cannot_be_written_is_named_and_nothing_is_thrown_away(small_disk: Path) -> None:
    open_database(small_disk).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for command in (["submit", "smoke/command"], ["up"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cockpit", *command], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert str(small_disk) in done.stderr
        assert "Traceback" not in done.stderr


def running_job(database: Database, process: dict[str, Any]) -> int:
    _, [job_id] = lifecycle.enqueue(database, "test", [NewJob("a", "command", {"retry": {"on": []}})])
    assert lifecycle.claim(database, 1, []) is not None
    lifecycle.mark_running(database, job_id, process)
    database.run_dir(job_id).mkdir(parents=True)
    return job_id


def test_after_a_reboot_jobs_are_lost_and_who_has_their_numbers_now_is_left_alone(
    start_daemon: Any, database: Database, ended: Any
) -> None:
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    identity = identify(stranger.pid) | {"boot_id": "of another boot"}
    job_id = running_job(database, {"supervisor": identity, "worker": identity, "started_at": 1.0})
    start_daemon()

    assert ended(job_id).status is Status.LOST
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_process_that_has_the_number_of_a_dead_supervisor_is_left_alone(
    start_daemon: Any, database: Database, ended: Any
) -> None:
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    identity = identify(stranger.pid) | {"start_ticks": 1}
    job_id = running_job(database, {"supervisor": identity, "worker": identity, "started_at": 1.0})
    start_daemon()

    assert ended(job_id).status is Status.LOST
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_clock_that_jumps_back_a_year_takes_no_point_and_no_end(database: Database) -> None:
    now = time.time()
    job_id = running_job(database, {"started_at": now})
    line = '{"kind": "metrics", "time": %f, "step": %d, "values": {"loss": 1}}\n'
    times = [now, now - 3e7, now + 3e7, 0.0]
    events = "".join(line % (when, step) for step, when in enumerate(times))
    (database.run_dir(job_id) / "events.jsonl").write_text(events)
    ingest(database, jobs.get_job(database, job_id))
    lifecycle.finish(database, job_id, lifecycle.Outcome(Status.SUCCEEDED, 0, None, ended_at=now - 3e7))

    assert [point.step for point in metrics.read_points(database, job_id, "loss")] == [0, 1, 2, 3]
    assert jobs.get_job(database, job_id).status is Status.SUCCEEDED
    assert len(results.list_transitions(database, job_id)) == 4


def test_an_events_file_that_is_shorter_than_what_was_read_keeps_what_is_stored(database: Database) -> None:
    job_id = running_job(database, {"started_at": 1.0})
    path = database.run_dir(job_id) / "events.jsonl"
    lines = [
        json.dumps({"kind": "metrics", "time": 1, "step": i, "values": {"loss": 1}}) + "\n" for i in range(9)
    ]
    path.write_text("".join(lines))
    ingest(database, jobs.get_job(database, job_id))
    path.write_text("".join(lines[:4]))
    ingest(database, jobs.get_job(database, job_id))

    assert [point.step for point in metrics.read_points(database, job_id, "loss")] == list(range(9))
    assert machine.reservations(database) == {}
