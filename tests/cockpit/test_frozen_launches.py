"""What is submitted is what runs: data, code and packages, from the command line to the worker."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.database import Database
from store.schema import Status

RECIPE = """
engine: eval
model: {base: pocket}
task: {name: gsm8k, path: data}
"""
ROW = '{"question": "1 + 1?", "answer": "It is 2.\\n#### 2"}\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A git repository with a recipe, data, an uncommitted change, and a file that git does not know."""
    project = tmp_path / "project"
    (project / "data").mkdir(parents=True)
    (project / "r.yaml").write_text(RECIPE)
    (project / ".gitignore").write_text("data/")
    for name in ("train", "test"):
        (project / "data" / f"{name}.jsonl").write_text(ROW)
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", *arguments], cwd=project, check=True, env=os.environ | identity)
    (project / "r.yaml").write_text(RECIPE + "# changed\n")
    (project / "notes.txt").write_text("PRIVATE-NOTES")
    return project


def tunedeck(project: Path, *arguments: str) -> str:
    argv = [sys.executable, "-P", "-m", "cockpit", *arguments]
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_data_that_changes_while_a_job_waits_ends_it_before_it_trains_on_something_else(
    project: Path, database: Database, start_daemon: Callable[..., Any], ended: Callable[[int], Any]
) -> None:
    job_id = int(tunedeck(project, "submit", "r.yaml"))
    (project / "data" / "test.jsonl").write_text(2 * ROW)
    start_daemon()
    job = ended(job_id)

    assert job.status is Status.FAILED
    assert f"{project}/data/test.jsonl has changed" in job.reason
    noted = json.loads((database.run_dir(job_id) / "environment.json").read_text())
    assert noted["python"] == sys.version.split()[0]


def test_a_job_tells_where_it_came_from_and_two_what_differs(project: Path, database: Database) -> None:
    from cockpit.origins import origin_differences
    from store.jobs import get_job

    first = int(tunedeck(project, "submit", "r.yaml"))
    shown = tunedeck(project, "show", str(first))
    origin = json.loads(tunedeck(project, "show", str(first), "--json"))["provenance"]
    assert f"code        {origin['git_commit'][:12]}, with uncommitted changes, 1 untracked files" in shown
    assert f"{project}/data/test.jsonl  sha256 " in shown
    assert origin["git_untracked"] == ["notes.txt"]
    assert "# changed" in origin["git_patch"]
    [environment] = (database.home / "environments").iterdir()
    assert environment.stem == origin["environment"]
    assert f"pydantic=={origin_version('pydantic')}" in environment.read_text().splitlines()

    (project / "data" / "train.jsonl").write_text(3 * ROW)
    second = int(tunedeck(project, "submit", "r.yaml"))
    [said] = origin_differences(database, get_job(database, first), get_job(database, second))
    assert said.startswith(f"{project}/data/train.jsonl sha256 ")
    assert len(list((database.home / "environments").iterdir())) == 1
    for path in database.home.rglob("*"):
        assert not path.is_file() or b"PRIVATE-NOTES" not in path.read_bytes(), path


def origin_version(name: str) -> str:
    from importlib.metadata import version

    return version(name)
