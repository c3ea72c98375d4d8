"""What of the daemon's environment reaches a job and the disk, and who may read a home."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon.environment import passed_on
from store import paths
from store.database import Database
from store.schema import Status

SECRET = "hunter2-planted-and-never-seen"
PLANTED = {
    "HF_TOKEN": SECRET,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "WANDB_API_KEY": SECRET,
    "DATABASE_URL": f"postgres://me:{SECRET}@host/db",
    "HTTPS_PROXY": f"http://me:{SECRET}@proxy:3128",
    "MY_PROGRAM": SECRET,
}


def test_a_planted_secret_reaches_neither_the_job_nor_any_file(
    start_daemon: Any, database: Database, submit: Any, ended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HF_HOME", "/data/hf")
    daemon = start_daemon()
    recipe = database.home / "r.yaml"
    recipe.write_text("name: r\nengine: command\nargv: [env]\n")
    subprocess.run(
        [sys.executable, "-P", "-m", "cockpit", "submit", str(recipe)], check=True, capture_output=True
    )
    assert ended(1).status is Status.SUCCEEDED
    assert ended(submit("no-such-program")).status is Status.FAILED
    daemon.terminate()
    daemon.wait()

    launch = json.loads((database.run_dir(1) / "launch.json").read_text())
    assert set(PLANTED) <= set(launch["dropped_env"])
    assert "HF_HOME=/data/hf" in (database.run_dir(1) / "worker.log").read_text().splitlines()
    files = [path for path in database.home.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_a_variable_is_passed_when_the_daemon_is_told_to() -> None:
    environ = {
        "TUNEDECK_PASS_ENV": "HF_TOKEN, MINE",
        "HF_TOKEN": "a",
        "MINE": "b",
        "OTHER": "c",
        "PATH": "/bin",
    }
    environ["TOKENIZERS_PARALLELISM"] = "false"

    kept, dropped = passed_on(environ)
    assert kept == {"HF_TOKEN": "a", "MINE": "b", "PATH": "/bin", "TOKENIZERS_PARALLELISM": "false"}
    assert dropped == ["OTHER"]


def test_a_secret_that_is_passed_by_name_reaches_the_job_and_no_file(
    start_daemon: Any, database: Database, submit: Any, ended: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("TUNEDECK_PASS_ENV", "WANDB_API_KEY")
    daemon = start_daemon()
    has_it = f"import os; assert os.environ['WANDB_API_KEY'][-4:] == '{SECRET[-4:]}'"
    assert ended(submit(sys.executable, "-c", has_it)).status is Status.SUCCEEDED
    daemon.terminate()
    daemon.wait()

    files = [path for path in database.home.rglob("*") if path.is_file()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_files_and_folders_of_a_home_are_their_owners_alone(
    start_daemon: Any, database: Database, submit: Any, ended: Any
) -> None:
    start_daemon()
    ended(submit("true"))
    home = database.home
    inside = [path for path in [home, *home.rglob("*")] if path.is_dir() or path.is_file()]

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    open_folders = [path for path in inside if path.is_dir() and stat.S_IMODE(path.stat().st_mode) & 0o077]
    assert open_folders == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_can_read_nothing(
    start_daemon: Any, database: Database, submit: Any, ended: Any, tmp_path: Path
) -> None:
    start_daemon()
    ended(submit("true"))
    for parent in [tmp_path, *tmp_path.parents]:
        if "pytest" in str(parent):
            parent.chmod(parent.stat().st_mode | 0o055)
    targets = [
        database.home,
        paths.database(database.home),
        database.run_dir(1) / "worker.log",
        database.home / "nudge",
    ]
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        os._exit(sum(os.access(target, mode) for target in targets for mode in (os.R_OK, os.W_OK, os.X_OK)))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
