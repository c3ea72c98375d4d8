"""The launcher with real processes: `command` jobs, so that none of them has to load torch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

ABOUT = """
import json, os, pathlib, sys
me = {name: os.environ[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "OMP_NUM_THREADS")}
me |= {"group": os.getpgid(0), "session": os.getsid(0)}
pathlib.Path(f"about-{me['RANK']}.json").write_text(json.dumps(me))
"""


@pytest.fixture
def launch(tmp_path):
    """Starts the launcher of two processes that run Python source in the run directory."""
    started = []

    def start(source, name="run", cwd=None, **fields):
        run_dir = tmp_path / name
        run_dir.mkdir()
        recipe = {"engine": "command", "argv": [sys.executable, "-c", source], **fields}
        (run_dir / "recipe.yaml").write_text(json.dumps(recipe))
        (run_dir / "launch.json").write_text(json.dumps({"attempt": 1, "name": "two", "inputs": {}}))
        command = [sys.executable, "-P", "-m", "engines.distributed.launcher", str(run_dir), "2"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "6"}
        process = subprocess.Popen(
            command,
            cwd=cwd or run_dir,
            env=environment,
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return run_dir, process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def about(run_dir):
    return [json.loads((run_dir / f"about-{rank}.json").read_text()) for rank in range(2)]


def failures(run_dir):
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    return [event for event in events if event["kind"] == "failed"]


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_each_process_knows_its_place_and_stays_in_the_group_that_the_supervisor_ends(launch):
    run_dir, process = launch(ABOUT)
    assert process.wait() == 0
    first, second = about(run_dir)
    assert [first["RANK"], second["RANK"]] == [first["LOCAL_RANK"], second["LOCAL_RANK"]] == ["0", "1"]
    assert first["WORLD_SIZE"] == second["WORLD_SIZE"] == "2"
    assert (first["MASTER_ADDR"], first["MASTER_PORT"]) == ("127.0.0.1", second["MASTER_PORT"])
    assert first["OMP_NUM_THREADS"] == "3"
    assert {first["group"], first["session"], second["group"], second["session"]} == {process.pid}
    assert not failures(run_dir)


def test_two_jobs_at_once_never_meet_at_the_same_place(launch):
    """The place is taken from the start on: a second job cannot get it while the first has yet to load torch."""
    waits = ABOUT + "while len(list(pathlib.Path('..').glob('*/about-*.json'))) < 4: pass"
    jobs = [launch(waits, name) for name in ("one", "two")]
    assert [process.wait(60) for _, process in jobs] == [0, 0]
    assert len({about(run_dir)[0]["MASTER_PORT"] for run_dir, _ in jobs}) == 2


def test_a_folder_called_engines_in_the_working_directory_does_not_win(launch, tmp_path):
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    run_dir, process = launch(ABOUT, cwd=tmp_path)
    assert process.wait() == 0 and len(about(run_dir)) == 2


def test_a_process_that_is_killed_takes_the_job_along_at_once(launch):
    source = ABOUT + (
        "import signal, time\n"
        "if me['RANK'] == '1': os.kill(os.getpid(), signal.SIGKILL)\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "time.sleep(600)"
    )
    run_dir, process = launch(source)
    assert process.wait(60) == -signal.SIGKILL
    [failure] = failures(run_dir)
    assert failure["error"] == "process 1 of 2 was killed, and the others ended with it"
    assert not (run_dir / "pid").exists() or not lives((run_dir / "pid").read_text())


def test_a_process_that_fails_leaves_the_others_a_moment_and_no_more(launch):
    source = "import os, sys, time\nif os.environ['RANK'] == '1': sys.exit(3)\ntime.sleep(600)"
    began = time.monotonic()
    run_dir, process = launch(source)
    assert process.wait(60) == 3 and time.monotonic() - began < 30
    [failure] = failures(run_dir)
    assert "process 1 of 2 ended with exit code 3" in failure["error"]


def test_an_error_that_all_processes_have_is_one_event(launch):
    run_dir, process = launch("", argv=["no-such-program"])
    assert process.wait() == 1
    [failure] = failures(run_dir)
    assert failure["error"].startswith("FileNotFoundError") and "process" not in failure["error"]


def test_a_request_to_stop_reaches_all_and_their_exit_code_is_the_jobs(launch, until):
    source = ABOUT + (
        "import signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "pathlib.Path(f'ready-{me[\"RANK\"]}').touch()\n"
        "signal.sigwait({signal.SIGTERM})\n"
        "sys.exit(75)"
    )
    run_dir, process = launch(source)
    until(lambda: len(list(run_dir.glob("ready-*"))) == 2)
    process.send_signal(signal.SIGTERM)  # to the launcher alone; the supervisor tells the whole group
    assert process.wait(60) == 75 and not failures(run_dir)
