"""The daemon with real processes: jobs run, end, are cancelled, and survive what kills the daemon."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest

from daemon.launch import exit_file, process_file
from daemon.processes import is_alive
from store import jobs, lifecycle, machine, metrics, results, wishes
from store.database import Database
from store.lifecycle import NewJob
from store.schema import Status

Submit = Callable[..., int]
Start = Callable[..., "subprocess.Popen[bytes]"]

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
    time.sleep(0.001)
sys.exit(7)
"""


def process(database: Database, job_id: int, attempt: int = 1) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(process_file(database.run_dir(job_id), attempt).read_text())
    return content


def logged_steps(database: Database, job_id: int) -> list[int]:
    lines = (database.run_dir(job_id) / "events.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def test_a_job_runs_and_its_output_exit_code_and_usage_are_kept(
    start_daemon: Start, database: Database, submit: Submit, ended: Any
) -> None:
    start_daemon()
    job = ended(submit("sh", "-c", "echo out; echo err >&2; exit 3"))

    assert (job.status, job.exit_code, job.reason) == (Status.FAILED, 3, "exit code 3")
    assert (database.run_dir(job.id) / "worker.log").read_text() == "out\nerr\n"
    (attempt,) = results.list_attempts(database, job.id)
    assert attempt.usage is not None
    assert attempt.usage["peak_memory_bytes"] > 0


def test_jobs_queued_while_no_daemon_runs_are_picked_up(
    start_daemon: Start, submit: Submit, ended: Any
) -> None:
    job_id = submit("true")
    start_daemon()

    assert ended(job_id).status is Status.SUCCEEDED


def test_a_program_that_is_not_there_fails_with_the_reason(
    start_daemon: Start, database: Database, submit: Submit, ended: Any
) -> None:
    start_daemon()
    job = ended(submit("no-such-program"))

    assert "could not be started" in job.reason
    assert "no-such-program: cannot be started" in (database.run_dir(job.id) / "worker.log").read_text()


def test_a_relative_working_directory_is_taken_from_where_the_recipe_was_submitted(
    start_daemon: Start, database: Database, ended: Any, tmp_path: Path
) -> None:
    from engines.command import Recipe

    (tmp_path / "inner").mkdir()
    recipe = Recipe.model_validate({"engine": "command", "argv": ["pwd"], "cwd": "inner"})
    new = NewJob("a", "command", recipe.model_dump(mode="json", by_alias=True))
    _, [job_id] = lifecycle.enqueue(database, "test", [new], provenance={"cwd": str(tmp_path)})
    start_daemon()

    assert ended(job_id).status is Status.SUCCEEDED
    assert (database.run_dir(job_id) / "worker.log").read_text() == f"{tmp_path}/inner\n"


def test_a_second_daemon_on_the_same_home_is_refused(start_daemon: Start, database: Database) -> None:
    start_daemon()
    second = subprocess.run(
        [sys.executable, "-P", "-m", "daemon", "--home", str(database.home)],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert second.returncode == 1
    assert "another daemon runs" in second.stderr


def test_no_more_jobs_run_at_once_than_there_are_slots(
    start_daemon: Start, database: Database, submit: Submit, ended: Any
) -> None:
    diary = database.home / "diary"
    start_daemon("--cpu-slots", "2")
    ids = [
        submit("sh", "-c", f"echo +1 >> {diary}; sleep 0.1; echo -1 >> {diary}", name=f"j{i}")
        for i in range(6)
    ]
    for job_id in ids:
        ended(job_id)

    running = list(accumulate(int(line) for line in diary.read_text().split()))
    assert max(running) == 2
    assert running[-1] == 0


def test_cancelling_a_running_job_stops_its_whole_process_group(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    start_daemon()
    job_id = submit("sh", "-c", "sleep 1000 & echo $! > $TUNEDECK_RUN_DIR/child; wait")
    child_file = database.run_dir(job_id) / "child"
    until(lambda: child_file.exists() and child_file.read_text().strip())
    wishes.request_cancel(database, job_id)
    machine.nudge(database.home)
    job = ended(job_id)

    assert (job.status, job.reason) == (Status.CANCELLED, "cancelled while it ran")
    child = int(child_file.read_text())
    until(
        lambda: (
            not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]
        )
    )


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace_period(
    database: Database, tmp_path: Path, until: Any
) -> None:
    run_dir = tmp_path / "runs" / "1"
    run_dir.mkdir(parents=True)
    launch = {
        "argv": ["sh", "-c", "trap '' TERM; touch ready; while true; do sleep 0.05; done"],
        "cwd": str(run_dir),
        "env": {},
        "timeout": None,
        "grace_seconds": 0.2,
    }
    (run_dir / "launch.json").write_text(json.dumps(launch))
    lock = os.open(run_dir / "supervisor.lock", os.O_RDWR | os.O_CREAT)
    argv = [sys.executable, "-P", "-m", "daemon.supervisor", str(run_dir), "1", str(lock)]
    supervisor = subprocess.Popen(argv, pass_fds=[lock])
    os.close(lock)
    until(lambda: (run_dir / "ready").exists())
    supervisor.terminate()
    supervisor.wait(timeout=60)

    ending = json.loads(exit_file(run_dir, 1).read_text())
    assert (ending["reason"], ending["exit_code"]) == ("stopped", -signal.SIGKILL)


def test_a_job_is_stopped_at_its_time_limit(start_daemon: Start, submit: Submit, ended: Any) -> None:
    start_daemon()
    job = ended(submit("sleep", "1000", timeout=0.2))

    assert (job.status, job.reason) == (Status.FAILED, "ran into its timeout of 0.2 s")


def test_a_retry_rule_starts_the_job_again(
    start_daemon: Start, database: Database, submit: Submit, ended: Any
) -> None:
    start_daemon()
    script = "test -e $TUNEDECK_RUN_DIR/second && exit 0; touch $TUNEDECK_RUN_DIR/second; exit 9"
    job = ended(submit("sh", "-c", script, retries=1, retry={"times": 1}))

    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert [attempt.exit_code for attempt in results.list_attempts(database, job.id)] == [9, 0]


def test_dependencies_run_in_order(start_daemon: Start, database: Database, ended: Any, home: Path) -> None:
    from engines.command import Recipe

    def job(name: str, script: str, *needs: str) -> NewJob:
        recipe = Recipe.model_validate({"engine": "command", "argv": ["sh", "-c", script]})
        return NewJob(
            name, "command", recipe.model_dump(mode="json", by_alias=True), tuple((n, None) for n in needs)
        )

    out = home / "order"
    new = [job("c", f"echo c >> {out}", "b"), job("b", f"echo b >> {out}", "a"), job("a", f"echo a >> {out}")]
    _, ids = lifecycle.enqueue(database, "test", new)
    start_daemon()
    for job_id in ids:
        assert ended(job_id).status is Status.SUCCEEDED

    assert out.read_text().split() == ["a", "b", "c"]


def test_a_killed_daemon_loses_no_metric_and_no_exit_code(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    """The headline promise: kill -9 of the daemon while a job logs, twice, and everything is there exactly once."""
    daemon = start_daemon()
    job_id = submit(sys.executable, "-c", TALKER)
    until(lambda: metrics.list_series(database, [job_id]))
    for _ in range(2):
        daemon.kill()
        daemon.wait()
        reached = logged_steps(database, job_id)[-1]
        until(lambda reached=reached: logged_steps(database, job_id)[-1] > reached + 50)
        daemon = start_daemon()
        until(lambda reached=reached: metrics.list_series(database, [job_id])[0].last_step > reached)
    (database.run_dir(job_id) / "finish").touch()
    job = ended(job_id)

    assert (job.status, job.exit_code, job.attempt) == (Status.FAILED, 7, 1)
    stored = [point.step for point in metrics.read_points(database, job_id, "loss")]
    assert stored == logged_steps(database, job_id) == list(range(1, len(stored) + 1))


def test_a_job_that_ends_while_no_daemon_runs_keeps_its_true_exit_code(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    daemon = start_daemon()
    job_id = submit(sys.executable, "-c", TALKER)
    until(lambda: metrics.list_series(database, [job_id]))
    daemon.kill()
    daemon.wait()
    (database.run_dir(job_id) / "finish").touch()
    until(lambda: exit_file(database.run_dir(job_id), 1).exists())
    assert jobs.get_job(database, job_id).status is Status.RUNNING
    start_daemon()
    job = ended(job_id)

    assert (job.status, job.exit_code) == (Status.FAILED, 7)
    stored = [point.step for point in metrics.read_points(database, job_id, "loss")]
    assert stored == logged_steps(database, job_id)


def test_a_claimed_job_whose_daemon_died_before_starting_it_is_started_by_the_next(
    start_daemon: Start, database: Database, submit: Submit, ended: Any
) -> None:
    job_id = submit("true")
    assert lifecycle.claim(database, 1, []) is not None
    start_daemon()
    job = ended(job_id)

    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)


def test_a_killed_worker_is_reported_with_its_signal(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    start_daemon()
    job_id = submit("sleep", "1000")
    until(lambda: jobs.get_job(database, job_id).status is Status.RUNNING)
    os.kill(process(database, job_id)["worker"]["pid"], signal.SIGKILL)
    job = ended(job_id)

    assert (job.status, job.exit_code, job.reason) == (Status.FAILED, -9, "killed by SIGKILL")
    ending = json.loads(exit_file(database.run_dir(job_id), 1).read_text())
    assert ending["kernel_kills"] >= 0


def test_a_signal_without_a_name_is_reported_and_the_next_job_runs(
    start_daemon: Start, submit: Submit, ended: Any
) -> None:
    start_daemon()
    job = ended(submit("sh", "-c", "kill -40 $$"))

    assert (job.status, job.exit_code, job.reason) == (Status.FAILED, -40, "killed by signal 40")
    assert ended(submit("true")).status is Status.SUCCEEDED


def test_a_program_that_exits_with_0_when_it_is_stopped_has_not_succeeded(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    from cockpit.control import stop_daemon

    polite = "trap 'exit 0' TERM; touch $TUNEDECK_RUN_DIR/ready; while true; do sleep 0.02; done"
    start_daemon()
    timed_out = submit("sh", "-c", polite, timeout=0.2)
    assert ended(timed_out).status is Status.FAILED
    cancelled, stopped = submit("sh", "-c", polite, name="a"), submit("sh", "-c", polite, name="b")
    for job_id in (cancelled, stopped):
        until(lambda job_id=job_id: (database.run_dir(job_id) / "ready").exists())
    wishes.request_cancel(database, cancelled)
    assert ended(cancelled).status is Status.CANCELLED
    assert stop_daemon(database, stop_jobs=True, timeout=60)
    assert jobs.get_job(database, stopped).status is Status.QUEUED


def test_when_the_supervisor_is_killed_the_worker_is_ended_and_the_job_is_lost(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    start_daemon()
    job_id = submit("sleep", "1000")
    until(lambda: jobs.get_job(database, job_id).status is Status.RUNNING)
    identities = process(database, job_id)
    os.kill(identities["supervisor"]["pid"], signal.SIGKILL)
    job = ended(job_id)

    assert (job.status, job.reason) == (Status.LOST, "its supervisor or its run directory vanished")
    assert not is_alive(identities["worker"])


def test_a_job_whose_run_directory_is_deleted_is_ended_and_not_started_twice(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    start_daemon()
    job_id = submit("sleep", "1000")
    until(lambda: jobs.get_job(database, job_id).status is Status.RUNNING)
    worker = process(database, job_id)["worker"]
    shutil.rmtree(database.run_dir(job_id))
    job = ended(job_id)

    assert (job.status, job.attempt) == (Status.LOST, 1)
    assert not is_alive(worker)


def test_a_supervisor_that_cannot_write_is_not_started_for_ever(
    start_daemon: Start, database: Database, submit: Submit, ended: Any
) -> None:
    (database.run_dir(1) / "process-1.json.tmp").mkdir(parents=True)
    job_id = submit("true")
    start_daemon()

    assert ended(job_id).status is Status.LOST
    assert "IsADirectoryError" in (database.run_dir(job_id) / "worker.log").read_text()


def test_a_full_disk_does_not_lose_how_a_job_ended(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    full = database.run_dir(1) / "exit-1.json.tmp"
    full.parent.mkdir()
    full.symlink_to("/dev/full")
    job_id = submit("sh", "-c", "exit 3")
    start_daemon()
    until(lambda: process_file(database.run_dir(job_id), 1).exists())
    until(lambda: not is_alive(process(database, job_id)["worker"]))
    full.unlink()

    assert (ended(job_id).status, jobs.get_job(database, job_id).exit_code) == (Status.FAILED, 3)


def test_jobs_wait_while_the_machine_cannot_start_any(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    start_daemon()
    runs = database.run_dir(1).parent
    runs.rmdir()
    runs.touch()
    ids = [submit("true", name=name) for name in ("a", "b")]
    until(lambda: "could not be started: " in (jobs.get_job(database, ids[0]).reason or ""))
    until(lambda: jobs.count_by_status(database) == {Status.QUEUED: 2})
    runs.unlink()
    runs.mkdir()
    machine.nudge(database.home)

    assert [ended(job_id).status for job_id in ids] == [Status.SUCCEEDED, Status.SUCCEEDED]


@pytest.mark.parametrize("name", ["exit-1.json", "supervisor.lock"])
def test_a_job_that_spoils_its_run_directory_keeps_no_other_waiting(
    start_daemon: Start, submit: Submit, ended: Any, name: str
) -> None:
    start_daemon("--cpu-slots", "2")
    submit("sh", "-c", f"cd $TUNEDECK_RUN_DIR; rm -f {name}; mkdir {name}; sleep 1000", name="a")

    assert ended(submit("true", name="b")).status is Status.SUCCEEDED


def test_down_leaves_running_jobs_running_and_the_next_daemon_adopts_them(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    from cockpit.control import stop_daemon

    daemon = start_daemon()
    job_id = submit(sys.executable, "-c", TALKER)
    until(lambda: jobs.get_job(database, job_id).status is Status.RUNNING)
    assert stop_daemon(database, stop_jobs=False, timeout=60)
    daemon.wait(timeout=60)
    assert is_alive(process(database, job_id)["worker"])
    start_daemon()
    (database.run_dir(job_id) / "finish").touch()

    assert (ended(job_id).exit_code, jobs.get_job(database, job_id).attempt) == (7, 1)


def test_down_with_stop_jobs_queues_them_to_go_on_later(
    start_daemon: Start, database: Database, submit: Submit, ended: Any, until: Any
) -> None:
    from cockpit.control import stop_daemon

    start_daemon()
    job_id = submit("sleep", "1000")
    until(lambda: jobs.get_job(database, job_id).status is Status.RUNNING)
    assert stop_daemon(database, stop_jobs=True, timeout=60)
    job = jobs.get_job(database, job_id)

    assert (job.status, job.reason) == (Status.QUEUED, "stopped at a checkpoint; goes on from there")


def test_sigterm_ends_the_daemon_in_good_order(start_daemon: Start, database: Database) -> None:
    daemon = start_daemon()
    daemon.terminate()

    assert daemon.wait(timeout=60) == 0
    row = machine.get_daemon(database)
    assert row is not None
    assert row.stopped_at is not None


@pytest.mark.parametrize("count", [40])
def test_many_short_jobs_all_succeed(
    start_daemon: Start, database: Database, submit: Submit, until: Any, count: int
) -> None:
    start_daemon("--cpu-slots", "2")
    for i in range(count):
        submit("true", name=f"j{i}")
    until(lambda: jobs.count_by_status(database).get(Status.SUCCEEDED) == count)


@pytest.mark.parametrize(("engine", "status"), [("eval", Status.SUCCEEDED), ("command", Status.QUEUED)])
def test_an_engine_that_was_done_when_it_was_stopped_has_succeeded_and_a_program_may_only_say_so(
    database: Database, engine: str, status: Status
) -> None:
    from daemon.endings import outcome_of

    _, [job_id] = lifecycle.enqueue(database, "test", [NewJob("a", engine, {})])
    ending = {"exit_code": 0, "reason": "stopped", "ended_at": 2.0, "started_at": 1.0}
    ending |= {"cpu_seconds": 0.0, "peak_memory_bytes": 0}

    assert outcome_of(database, jobs.get_job(database, job_id), {}, ending).status is status


# Fails as torch does until the recipe that it is given asks for less.
HUNGRY = """
import json, os, pathlib, sys
run_dir = pathlib.Path(os.environ["TUNEDECK_RUN_DIR"])
print("batch size", os.environ["BATCH"])
if int(os.environ["BATCH"]) > 2:
    sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB.")
"""


def test_a_job_that_runs_out_of_memory_runs_again_as_its_recipe_says_and_each_attempt_is_recorded(
    start_daemon: Start, database: Database, submit: Submit, ended: Any
) -> None:
    start_daemon()
    rule = {"on_oom": [{"env": {"BATCH": "4"}}, {"env": {"BATCH": "2"}}]}
    job = ended(submit(sys.executable, "-c", HUNGRY, env={"BATCH": "8", "OTHER": "kept"}, retry=rule))

    assert (job.status, job.attempt, job.fallbacks) == (Status.SUCCEEDED, 3, 2)
    attempts = results.list_attempts(database, job.id)
    assert [attempt.changes for attempt in attempts] == [
        None,
        {"env": {"BATCH": "4"}},
        {"env": {"BATCH": "2"}},
    ]
    log = (database.run_dir(job.id) / "worker.log").read_text()
    assert [line for line in log.splitlines() if line.startswith("batch")] == [
        f"batch size {n}" for n in (8, 4, 2)
    ]
    assert "BATCH: '8'" in (database.run_dir(job.id) / "recipe.yaml").read_text()
    changed = (database.run_dir(job.id) / "recipe-3.yaml").read_text()
    assert "BATCH: '2'" in changed
    assert "OTHER: kept" in changed


def test_a_job_that_has_no_less_to_ask_for_fails_with_the_reason(
    start_daemon: Start, submit: Submit, ended: Any
) -> None:
    start_daemon()
    rule = {"on_oom": {"env": {"BATCH": "4"}}}
    job = ended(submit(sys.executable, "-c", HUNGRY, env={"BATCH": "8"}, retry=rule))

    assert (job.status, job.attempt, job.reason) == (Status.FAILED, 2, "ran out of memory (exit code 1)")


def test_a_lack_of_memory_of_an_earlier_attempt_is_not_taken_for_one_of_this(
    start_daemon: Start, submit: Submit, ended: Any
) -> None:
    start_daemon()
    script = (
        "test -e $TUNEDECK_RUN_DIR/2 && exit 3; touch $TUNEDECK_RUN_DIR/2; echo CUDA out of memory; exit 1"
    )
    job = ended(submit("sh", "-c", script, retry={"on_oom": [{"seed": 1}, {"seed": 2}]}))

    assert (job.status, job.attempt, job.reason) == (Status.FAILED, 2, "exit code 3")


@pytest.mark.parametrize(("codes", "attempts"), [([9], 2), ([137], 1), (None, 2)])
def test_only_the_exit_codes_of_the_rule_are_retried(
    start_daemon: Start, submit: Submit, ended: Any, codes: list[int] | None, attempts: int
) -> None:
    start_daemon()
    job = ended(submit("sh", "-c", "exit 9", retries=1, retry={"times": 1, "exit_codes": codes}))

    assert (job.status, job.attempt) == (Status.FAILED, attempts)


def test_a_signal_in_a_rule_is_written_as_the_shell_has_it(
    start_daemon: Start, submit: Submit, ended: Any
) -> None:
    start_daemon()
    job = ended(submit("sh", "-c", "kill -9 $$", retries=1, retry={"times": 1, "exit_codes": [137]}))

    assert (job.status, job.attempt, job.reason) == (Status.FAILED, 2, "killed by SIGKILL")


def test_each_retry_waits_longer_than_the_one_before(
    start_daemon: Start, database: Database, submit: Submit, ended: Any
) -> None:
    start_daemon()
    rule = {"times": 3, "delay": 0.2, "backoff": 2, "longest_delay": 0.5}
    job = ended(submit("false", retries=3, retry=rule))

    attempts = results.list_attempts(database, job.id)
    pauses = [after.claimed_at - (before.ended_at or 0) for before, after in pairwise(attempts)]
    assert len(pauses) == 3
    assert all(pause >= least for pause, least in zip(pauses, (0.2, 0.4, 0.5), strict=True))
    assert pauses[0] < 0.2 + 5


def test_a_job_with_a_time_starts_then_and_not_at_the_next_idle_round(
    start_daemon: Start, database: Database, ended: Any
) -> None:
    """The daemon idles for five seconds a round; a time in between wakes it."""
    start_daemon()
    at = time.time() + 1.0
    new = NewJob("later", "command", _command("true"), not_before=at)
    _, [job_id] = lifecycle.enqueue(database, "test", [new])
    machine.nudge(database.home)
    assert ended(job_id).status is Status.SUCCEEDED

    assert at <= results.list_attempts(database, job_id)[0].claimed_at < at + 3


def _command(*argv: str) -> dict[str, Any]:
    return {"engine": "command", "argv": list(argv), "env": {}, "cwd": None}
