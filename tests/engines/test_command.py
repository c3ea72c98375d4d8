"""The user's own program as a job."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from engines.command import Recipe


def run_worker(run_dir: Path, recipe: dict[str, object]) -> "subprocess.CompletedProcess[str]":
    (run_dir / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (run_dir / "launch.json").write_text(json.dumps({"attempt": 1, "name": "mine", "inputs": {}}))
    return subprocess.run(
        [sys.executable, "-P", "-m", "engines", str(run_dir)], capture_output=True, text=True, timeout=60
    )


def test_the_program_gets_its_words_its_environment_and_its_run_directory(tmp_path: Path) -> None:
    script = 'echo "$1 $2 $EXTRA $TUNEDECK_RUN_DIR"; exit 5'
    recipe = {"engine": "command", "argv": ["sh", "-c", script, "sh", 100, True], "env": {"EXTRA": 1}}
    done = run_worker(tmp_path, recipe)

    assert (done.returncode, done.stdout) == (5, f"100 true 1 {tmp_path}\n")


def test_it_becomes_the_worker_itself(tmp_path: Path) -> None:
    run_worker(tmp_path, {"engine": "command", "argv": ["sh", "-c", "echo $$ > pid"]})
    started = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[0])

    assert started["kind"] == "started"
    assert started["pid"] == int((tmp_path / "pid").read_text())


@pytest.mark.parametrize("argv", [[], "ls", [["ls"]], None])
def test_argv_is_a_list_of_words(argv: object) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate({"engine": "command", "argv": argv})


def test_a_program_that_is_not_there_fails_with_a_final_event(tmp_path: Path) -> None:
    done = run_worker(tmp_path, {"engine": "command", "argv": ["no-such-program"]})
    last = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[-1])

    assert done.returncode == 1
    assert last["kind"] == "failed"
    assert "FileNotFoundError" in last["error"]
