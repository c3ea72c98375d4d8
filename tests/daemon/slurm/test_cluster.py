"""Jobs through a real Slurm: they run, end, wait, are cancelled, pre-empted and refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store import jobs, machine, paths, results, wishes
from store import slurm as in_slurm
from store.database import Database
from store.schema import Status

pytestmark = pytest.mark.slurm


def is_running(database: Database, job_id: int) -> bool:
    return jobs.get_job(database, job_id).status is Status.RUNNING


def test_an_experiment_with_dependencies_runs_through_slurm(
    slurm: Any, profiles: Any, home: Path, database: Database, start_daemon: Any, ended: Any, tmp_path: Path
) -> None:
    """Submitted by the command line: one line hands all jobs to Slurm, one of them is kept here."""
    profiles()
    recipe = tmp_path / "two.yaml"
    recipe.write_text(
        "name: two\ndefaults: {resources: {slurm: main, gpus: 0}}\njobs:\n"
        "  first: {engine: command, argv: [sh, -c, 'echo $SLURM_JOB_ID > $TUNEDECK_RUN_DIR/there']}\n"
        "  second: {engine: command, argv: [sh, -c, 'sleep 1; exit 3'], needs: [first]}\n"
        "  never: {engine: command, argv: ['true'], needs: [second]}\n"
        "  here: {engine: command, argv: [sh, -c, 'echo here $SLURM_JOB_ID'], resources: {slurm: null}}\n"
    )
    argv = [sys.executable, "-P", "-m", "cockpit", "submit", str(recipe)]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    first, here, second, never = sorted(
        (jobs.get_job(database, int(line)) for line in printed.split()),
        key=lambda job: ["first", "here", "second", "never"].index(job.name),
    )
    start_daemon()

    assert ended(first.id).status is Status.SUCCEEDED
    assert (database.run_dir(first.id) / "there").read_text().strip() == slurm.number_of(database, first.id)
    second = ended(second.id)
    assert (second.status, second.exit_code, second.reason) == (Status.FAILED, 3, "exit code 3")
    assert ended(never.id).status is Status.CANCELLED
    assert ended(here.id).status is Status.SUCCEEDED
    assert (database.run_dir(here.id) / "worker.log").read_text() == "here\n"
    assert [name for _, _, name in slurm.jobs() if f"-{first.id}-1" in name or f"-{second.id}-1" in name]
    assert (
        len([name for _, _, name in slurm.jobs() if name.endswith((f"-{never.id}-1", f"-{here.id}-1"))]) == 0
    )


def test_cancelling_a_running_job_stops_its_worker_first(
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
    job_id = through_slurm("sh", "-c", "trap 'echo stopping; exit 9' TERM; while :; do sleep 0.1; done")
    until(lambda: is_running(database, job_id))
    wishes.request_cancel(database, job_id)
    job = ended(job_id)

    assert (job.status, job.reason, job.exit_code) == (Status.CANCELLED, "cancelled while it ran", 9)
    assert (database.run_dir(job_id) / "worker.log").read_text().endswith("stopping\n")
    until(lambda: slurm.state(slurm.number_of(database, job_id)) == "COMPLETED")


def test_cancelling_a_job_that_waits_in_slurm_takes_it_back(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    profiles(wide={"cpus": 2, "time": "10m"})
    start_daemon()
    first = through_slurm(
        "sh", "-c", "while [ ! -e $TUNEDECK_RUN_DIR/finish ]; do sleep 0.1; done", profile="wide"
    )
    until(lambda: is_running(database, first))
    until(lambda: (jobs.get_job(database, first).reason or "").startswith("runs in Slurm as "))
    second = through_slurm("true", profile="wide")
    until(lambda: "pending in Slurm as" in (jobs.get_job(database, second).reason or ""))
    until(lambda: "Resources" in (jobs.get_job(database, second).reason or ""))
    why = subprocess.run(
        [sys.executable, "-P", "-m", "cockpit", "why", str(second)], capture_output=True, text=True
    )
    assert f"pending in Slurm as {slurm.number_of(database, second)}: Resources" in why.stdout
    wishes.request_cancel(database, second)
    job = ended(second)

    assert (job.status, job.reason) == (Status.CANCELLED, "cancelled while it waited in Slurm")
    assert slurm.state(slurm.number_of(database, second)) == "CANCELLED"
    assert is_running(database, first)
    (database.run_dir(first) / "finish").touch()
    assert ended(first).status is Status.SUCCEEDED


def test_a_job_that_somebody_cancels_in_slurm_is_cancelled_here(
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
    job_id = through_slurm("sleep", "1000")
    until(lambda: is_running(database, job_id))
    slurm.say("scancel", slurm.number_of(database, job_id))
    job = ended(job_id)

    assert job.status is Status.CANCELLED
    assert "not through Tunedeck" in job.reason


def test_stopping_the_jobs_with_the_daemon_leaves_them_queued(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    profiles(wide={"cpus": 2, "time": "10m"})
    daemon = start_daemon()
    runs = through_slurm("sh", "-c", "trap 'exit 75' TERM; while :; do sleep 0.1; done", profile="wide")
    until(lambda: is_running(database, runs))
    waits = through_slurm("true", profile="wide")
    until(lambda: "pending in Slurm as" in (jobs.get_job(database, waits).reason or ""))
    machine.request_stop(database, stop_jobs=True)
    machine.nudge(database.home)

    assert daemon.wait(timeout=60) == 0
    assert [jobs.get_job(database, job_id).status for job_id in (runs, waits)] == [Status.QUEUED] * 2
    assert slurm.state(slurm.number_of(database, waits)) == "CANCELLED"
    wishes.request_cancel(database, runs)
    start_daemon()
    assert ended(waits).status is Status.SUCCEEDED


def test_what_slurm_refuses_fails_in_its_own_words_and_the_queue_goes_on(
    slurm: Any, profiles: Any, database: Database, start_daemon: Any, through_slurm: Any, ended: Any
) -> None:
    profiles(wrong={"partition": "nope"})
    start_daemon()
    refused = ended(through_slurm("true", profile="wrong"))
    taken = ended(through_slurm("true"))

    assert refused.status is Status.FAILED
    assert refused.reason.startswith("Slurm refused it: invalid partition specified: nope")
    assert taken.status is Status.SUCCEEDED


def test_a_set_up_that_fails_is_the_jobs_failure_and_its_log_says_so(
    slurm: Any, profiles: Any, database: Database, start_daemon: Any, through_slurm: Any, ended: Any
) -> None:
    profiles(bare={"modules": ["cuda/99"]}, made={"setup": ["export MADE_HERE='a b'"]})
    start_daemon()
    job = ended(through_slurm("true", profile="bare"))
    made = ended(through_slurm("sh", "-c", 'echo "$MADE_HERE"', profile="made"))

    assert job.status is Status.FAILED
    assert "its batch script ended before the job began" in job.reason
    assert "the module cuda/99 cannot be loaded" in (database.run_dir(job.id) / "worker.log").read_text()
    assert (database.run_dir(made.id) / "worker.log").read_text() == "a b\n"


def test_no_secret_of_the_daemon_reaches_a_job_or_a_file(
    slurm: Any, profiles: Any, database: Database, start_daemon: Any, through_slurm: Any, ended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    secret = "tell-nobody-0123456789"
    monkeypatch.setenv("HF_TOKEN", secret)
    monkeypatch.setenv("SBATCH_PARTITION", "nope")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    profiles()
    start_daemon()
    job = ended(through_slurm("env"))

    assert job.status is Status.SUCCEEDED
    seen = (database.run_dir(job.id) / "worker.log").read_text()
    assert "HF_DATASETS_OFFLINE=1\n" in seen
    assert f"SLURM_JOB_ID={slurm.number_of(database, job.id)}\n" in seen
    assert "CUDA_VISIBLE_DEVICES" not in seen
    tops = (str(database.home), str(slurm.root))
    found = subprocess.run(["grep", "-rlF", secret, *tops], capture_output=True, text=True).stdout
    assert found == ""
    ours = [path for path in database.run_dir(job.id).rglob("*") if path.is_file()]
    assert {path.name for path in ours} >= {"sbatch-1.sh", "process-1.json", "exit-1.json", "worker.log"}
    open_to_others = [path.name for path in ours if path.stat().st_mode & 0o077]
    assert [name for name in open_to_others if "sbatch" in name or name in ("worker.log", "begun-1")] == []


def test_a_job_that_asks_for_a_gpu_gets_the_one_that_slurm_gives_it(
    slurm: Any, profiles: Any, database: Database, start_daemon: Any, through_slurm: Any, ended: Any
) -> None:
    profiles(card={"gpus": 1, "gpu_type": "a100", "memory": "100MiB", "time": "10m"})
    start_daemon()
    job = ended(through_slurm("sh", "-c", "echo [$CUDA_VISIBLE_DEVICES]", profile="card", gpus="auto"))

    assert job.status is Status.SUCCEEDED
    assert (database.run_dir(job.id) / "worker.log").read_text() == "[0]\n"


def test_a_pre_empted_job_goes_on_as_another_attempt_and_uses_up_no_retry(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    profiles(wide={"cpus": 2, "time": "10m"}, urgent={"cpus": 2, "time": "10m", "partition": "urgent"})
    start_daemon()
    wait = "while [ ! -e $TUNEDECK_RUN_DIR/finish ]; do sleep 0.1; done"
    job_id = through_slurm("sh", "-c", wait, profile="wide")
    until(lambda: is_running(database, job_id))
    urgent = through_slurm("true", profile="urgent")
    assert ended(urgent).status is Status.SUCCEEDED
    until(lambda: jobs.get_job(database, job_id).attempt == 2 and is_running(database, job_id))
    (database.run_dir(job_id) / "finish").touch()
    job = ended(job_id)

    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert in_slurm.attempts_of(database, job_id)[0]["state"] == "PREEMPTED"
    reasons = [moved.reason for moved in results.list_transitions(database, job_id)]
    assert "was pre-empted in Slurm; goes on" in reasons


def test_no_more_jobs_are_in_slurm_than_the_profile_has_slots(
    slurm: Any,
    profiles: Any,
    database: Database,
    start_daemon: Any,
    through_slurm: Any,
    ended: Any,
    until: Any,
) -> None:
    profiles(narrow={"slots": 1, "time": "10m"})
    start_daemon("--cpu-slots", "1")
    wait = "while [ ! -e $TUNEDECK_RUN_DIR/finish ]; do sleep 0.1; done"
    first, second = (through_slurm("sh", "-c", wait, profile="narrow") for _ in range(2))
    until(lambda: is_running(database, first))
    why = subprocess.run(
        [sys.executable, "-P", "-m", "cockpit", "why", str(second)], capture_output=True, text=True
    )

    assert jobs.get_job(database, second).status is Status.QUEUED
    assert "`narrow` has 1 of its 1 jobs in Slurm" in why.stdout
    for job_id in (first, second):
        (database.run_dir(job_id)).mkdir(exist_ok=True)
        (database.run_dir(job_id) / "finish").touch()
    assert ended(second).status is Status.SUCCEEDED


def test_a_home_with_odd_characters_works(slurm: Any, tmp_path: Path, until: Callable[..., None]) -> None:
    """sbatch has patterns in file names and quotes of its own."""
    home = tmp_path / 'a %j "b" \\ c'
    paths.create(home)
    paths.config(home).write_text("slurm: {poll_seconds: 0.3, profiles: {main: {partition: main}}}\n")
    recipe = tmp_path / "r.yaml"
    recipe.write_text("engine: command\nargv: [echo, hello]\nresources: {slurm: main}\n")
    environ = os.environ | {"TUNEDECK_HOME": str(home)}
    daemon = subprocess.Popen(
        [sys.executable, "-P", "-m", "daemon", "--home", str(home)], env=environ, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: (home / "daemon.lock").exists())
        submit = [sys.executable, "-P", "-m", "cockpit", "submit", str(recipe), "--wait"]
        done = subprocess.run(submit, env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert (paths.run_dir(home, 1) / "worker.log").read_text() == "hello\n"
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
