"""What kills our daemon, Slurm's controller or a supervisor on the node: nothing is lost, nothing runs twice."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from store import jobs, metrics, paths, results
from store import slurm as in_slurm
from store.database import Database
from store.schema import Status

pytestmark = pytest.mark.slurm

# Logs a metric at every step until a file appears, so that a test decides how long it runs.
TALKER = """
import json, os, pathlib, sys, time
run_dir = pathlib.Path(os.environ["TUNEDECK_RUN_DIR"])
events = (run_dir / "events.jsonl").open("a", buffering=1)
step = 0
while not (run_dir / "finish").exists():
    step += 1
    event = {"kind": "metrics", "time": time.time(), "step": step, "values": {"loss": 1 / step}}
    print(json.dumps(event), file=events)
    time.sleep(0.005)
sys.exit(7)
"""


def is_running(database: Database, job_id: int) -> bool:
    return jobs.get_job(database, job_id).status is Status.RUNNING


def talks(database: Database, job_id: int) -> bool:
    """Whether the job runs and has logged something."""
    events = database.run_dir(job_id) / "events.jsonl"
    return is_running(database, job_id) and events.exists() and events.stat().st_size > 0


def check_everything_arrived(database: Database, job_id: int) -> None:
    lines = (database.run_dir(job_id) / "events.jsonl").read_text().splitlines()
    written = [json.loads(line)["step"] for line in lines]
    assert [point.step for point in metrics.read_points(database, job_id, "loss")] == written
    assert len(written) > 0


def test_a_killed_daemon_is_followed_by_one_that_adopts_with_the_true_exit_code(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    profiles()
    daemon = start_daemon()
    job_id = through_slurm(sys.executable, "-c", TALKER)
    until(lambda: talks(database, job_id))
    daemon.kill()
    daemon.wait()
    (database.run_dir(job_id) / "finish").touch()
    until(lambda: slurm.state(slurm.number_of(database, job_id)) == "COMPLETED")
    start_daemon()
    job = ended(job_id)

    assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 7, 1)
    check_everything_arrived(database, job_id)


@pytest.mark.parametrize("point", ["slurm.frozen", "slurm.submitting", "slurm.known"])
def test_a_daemon_that_is_killed_around_sbatch_leaves_a_job_that_runs_once(
    point: str, slurm: Any, profiles: Any, database: Database, start_daemon: Any, through_slurm: Any, ended: Any, tmp_path: Path
) -> None:  # fmt: skip
    profiles()
    before = len(slurm.jobs())
    diary = tmp_path / "diary"
    job_id = through_slurm("sh", "-c", f"echo begun >> {diary}; sleep 1; echo done >> {diary}; exit 5")
    argv = [sys.executable, "-P", "-m", "daemon", "--home", str(database.home)]
    dying = subprocess.Popen(
        argv, env=os.environ | {"TUNEDECK_FAULT": point}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert dying.wait(timeout=60) == -9
    start_daemon()
    job = ended(job_id)

    assert (job.status, job.exit_code) == (Status.FAILED, 5)
    assert diary.read_text() == "begun\ndone\n"
    assert len(slurm.jobs()) - before == 1
    assert job.attempt == (2 if point == "slurm.frozen" else 1)


def test_a_killed_sbatch_that_had_told_nobody_its_number_is_found_by_its_name(
    slurm: Any, profiles: Any, database: Database, start_daemon: Any, through_slurm: Any, ended: Any, tmp_path: Path
) -> None:  # fmt: skip
    """Dies right after sbatch has begun, and what sbatch has said is lost as well."""
    profiles()
    before = len(slurm.jobs())
    job_id = through_slurm("sh", "-c", "sleep 1; exit 5")
    argv = [sys.executable, "-P", "-m", "daemon", "--home", str(database.home)]
    dying = subprocess.Popen(
        argv, env=os.environ | {"TUNEDECK_FAULT": "slurm.known"}, stderr=subprocess.DEVNULL
    )
    assert dying.wait(timeout=60) == -9
    (database.run_dir(job_id) / "sbatch-1.out").write_text("")
    start_daemon()
    job = ended(job_id)

    assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 5, 1)
    assert len(slurm.jobs()) - before == 1


def test_a_killed_controller_is_no_reason_to_conclude_anything(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    profiles()
    start_daemon()
    job_id = through_slurm(sys.executable, "-c", TALKER)
    until(lambda: talks(database, job_id))
    saved = slurm.root / "state" / "job_state"
    began = (database.run_dir(job_id) / "process-1.json").stat().st_mtime
    until(lambda: saved.exists() and saved.stat().st_mtime > began + 1)
    slurm.kill_controller()
    waiting = through_slurm("true")
    until(lambda: in_slurm.published(database)[1] is not None)

    assert is_running(database, job_id)
    assert "Unable to contact slurm controller" in str(in_slurm.published(database)[1])
    assert not jobs.get_job(database, waiting).is_final
    slurm.start_controller()
    until(lambda: in_slurm.published(database)[1] is None)
    assert is_running(database, job_id)
    (database.run_dir(job_id) / "finish").touch()
    job = ended(job_id)
    assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 7, 1)
    check_everything_arrived(database, job_id)
    assert ended(waiting).status is Status.SUCCEEDED


def test_a_controller_that_forgets_having_started_a_job_runs_it_as_another_attempt(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    """Killed before it has saved that the job runs, it starts the job again; the first one is ended."""
    profiles(later={"options": ["--begin=now+1hour"], "time": "10m"})
    start_daemon()
    job_id = through_slurm(sys.executable, "-c", TALKER, profile="later")
    until(lambda: "pending in Slurm as" in (jobs.get_job(database, job_id).reason or ""))
    name = in_slurm.attempts_of(database, job_id)[0]["name"]
    until(lambda: name.encode() in (slurm.root / "state" / "job_state").read_bytes())
    slurm.say("scontrol", "update", f"JobId={slurm.number_of(database, job_id)}", "StartTime=now")
    until(lambda: talks(database, job_id))
    slurm.kill_controller()
    slurm.start_controller()
    slurm.say("scontrol", "update", f"JobId={slurm.number_of(database, job_id)}", "StartTime=now")
    until(lambda: jobs.get_job(database, job_id).attempt == 2, 90)
    until(lambda: slurm.number_of(database, job_id) != "None")
    slurm.say("scontrol", "update", f"JobId={slurm.number_of(database, job_id)}", "StartTime=now")
    until(lambda: is_running(database, job_id))
    (database.run_dir(job_id) / "finish").touch()
    job = ended(job_id)

    assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 7, 2)
    assert "started this attempt a second time" in (database.run_dir(job_id) / "worker.log").read_text()


def test_a_job_that_the_controller_knows_no_more_is_lost_even_if_its_number_comes_again(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    """The controller loses all of its state, and counts from 1 again."""
    profiles()
    start_daemon()
    job_id = through_slurm(sys.executable, "-c", TALKER, retry={"times": 1, "on": ["lost"]})
    until(lambda: talks(database, job_id))
    slurm.kill_controller()
    shutil.rmtree(slurm.root / "state")
    (slurm.root / "state").mkdir()
    slurm.start_controller()
    number, foreign = slurm.number_of(database, job_id), ""
    while int(foreign or 0) < int(number):
        foreign = slurm.say("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 1000").strip()
    assert foreign == number
    until(lambda: jobs.get_job(database, job_id).attempt == 2, 90)
    slurm.say("scancel", *map(str, range(1, int(foreign) + 1)))
    until(lambda: is_running(database, job_id))
    (database.run_dir(job_id) / "finish").touch()
    job = ended(job_id)

    assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 7, 2)
    assert results.list_attempts(database, job_id)[0].outcome == "lost"


def test_a_job_whose_supervisor_is_killed_on_the_node_is_lost_and_tried_again(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    profiles()
    start_daemon()
    job_id = through_slurm(sys.executable, "-c", TALKER, retry={"times": 1, "on": ["lost"]})
    until(lambda: is_running(database, job_id))
    slurm.say("scancel", "--signal=KILL", "--batch", slurm.number_of(database, job_id))
    until(lambda: jobs.get_job(database, job_id).attempt == 2 and is_running(database, job_id))
    (database.run_dir(job_id) / "finish").touch()
    job = ended(job_id)

    assert (job.status, job.exit_code) == (Status.FAILED, 7)
    assert results.list_attempts(database, job_id)[0].outcome == "lost"


def test_where_squeue_has_forgotten_a_job_the_accounting_is_asked_how_it_ended(
    slurm: Any, profiles: Any, database: Database, start_daemon: Any, through_slurm: Any, ended: Any, until: Any,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The accounting is a stand-in, as slurmdbd needs a database server; what it prints is in sacct's form."""
    stand_in = tmp_path / "bin" / "sacct"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\nfor last; do :; done\necho "${last#--jobs=}|NODE_FAIL"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:{os.environ['PATH']}")
    profiles()
    start_daemon()
    job_id = through_slurm("sleep", "1000")
    until(lambda: is_running(database, job_id))
    slurm.kill_controller()
    shutil.rmtree(slurm.root / "state")
    (slurm.root / "state").mkdir()
    slurm.start_controller()
    job = ended(job_id)

    assert job.status is Status.LOST
    assert f"Slurm's {slurm.number_of(database, job_id)}: NODE_FAIL" in job.reason


def test_a_database_that_is_rebuilt_while_a_job_is_in_slurm_follows_it_to_its_end(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    profiles()
    daemon = start_daemon()
    job_id = through_slurm(sys.executable, "-c", TALKER)
    until(lambda: talks(database, job_id))
    number = slurm.number_of(database, job_id)
    daemon.kill()
    daemon.wait()
    database.close()
    paths.database(database.home).unlink()
    subprocess.run([sys.executable, "-P", "-m", "daemon.reindex", "--home", str(database.home)], check=True)
    start_daemon()
    assert slurm.number_of(database, job_id) == number
    until(lambda: (jobs.get_job(database, job_id).reason or "").startswith("runs in Slurm as "))
    (database.run_dir(job_id) / "finish").touch()
    job = ended(job_id)

    assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 7, 1)
    check_everything_arrived(database, job_id)
