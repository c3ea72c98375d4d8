"""The command line as users meet it: real processes, their output and their exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store import jobs
from store.database import Database
from store.schema import Status

Tunedeck = Callable[..., "subprocess.CompletedProcess[str]"]

SLEEPER = "jobs:\n  a: {engine: command, argv: [sleep, 1000]}\n  b: {engine: command, argv: [echo, hi], needs: [a]}\n"


@pytest.fixture
def tunedeck(home: Path, tmp_path: Path) -> Tunedeck:
    def run(
        *arguments: str, stdin: int | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "cockpit", *arguments],
            capture_output=True,
            text=True,
            stdin=stdin,
            cwd=tmp_path,
            timeout=120,
            env=os.environ | environment,
        )

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "r.yaml").write_text(text)
        return "r.yaml"

    return write


def test_help_lists_every_command_and_each_has_its_own(tunedeck: Tunedeck) -> None:
    from cockpit.cli import COMMANDS

    said = tunedeck("--help").stdout
    for command in COMMANDS:
        assert f"  {command} " in said
    assert "--wait" in tunedeck("submit", "--help").stdout


def test_submit_wait_runs_a_recipe_and_exits_with_its_result(
    tunedeck: Tunedeck, recipe: Callable[[str], str], start_daemon: Any
) -> None:
    start_daemon()
    good = tunedeck("submit", recipe("engine: command\nargv: [echo, hello]"), "--wait")
    assert (good.returncode, good.stdout) == (0, "1\n")
    assert "succeeded" in good.stderr

    bad = tunedeck("submit", recipe("engine: command\nargv: [sh, -c, exit 4]"), "--wait")
    assert bad.returncode == 1
    assert "exit code 4" in bad.stderr
    assert tunedeck("logs", "1").stdout == "hello\n"
    assert tunedeck("wait", "1").returncode == 0
    assert tunedeck("wait", "1", "2").returncode == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [1", "is not YAML"),
        (b"engine: nonsense", "the engines are"),
        (b"engine: command\nargv: [x]\nextra: 1", "r.yaml:3: extra: unknown key"),
        (b"\x00\x01", "binary"),
        (b"\xff", "not UTF-8"),
        (b"", "is empty"),
    ],
)
def test_a_bad_recipe_is_explained_and_nothing_is_queued(
    tunedeck: Tunedeck, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "r.yaml").write_bytes(content)
    for command in ("submit", "check"):
        done = tunedeck(command, "r.yaml")

        assert done.returncode == 2
        assert words in done.stderr
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert json.loads(tunedeck("jobs", "--json").stdout) == []


def test_check_says_which_options_of_a_recipe_have_no_effect(
    tunedeck: Tunedeck, recipe: Callable[[str], str]
) -> None:
    text = "engine: grpo\nmodel: {base: pocket}\ntask: pocket-math\nepsilon_high: 0.28\n"
    done = tunedeck("check", recipe(text))
    assert done.returncode == 0 and "warning: r: no effect: `epsilon_high`" in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sumbit"], 2, "did you mean `submit`?"),
        (["submit"], 2, "Missing argument"),
        (["submit", "nowhere.yaml"], 2, "nor a recipe of that name"),
        (["submit", "smoke/command", "--set", "x"], 2, "key=value"),
        (["show", "7"], 1, "there is no such job"),
        (["cancel", "7"], 1, "there is no such job"),
        (["show", "seven"], 2, "not a valid integer"),
        (["down"], 3, "no daemon is running"),
        (["status"], 3, ""),
        (["compare"], 1, "nothing to compare"),
        (["compare", "-e", "nothing"], 1, "no such experiment"),
        ([], 1, "needs a terminal"),
    ],
)
def test_mistakes_have_a_message_and_an_exit_code(
    tunedeck: Tunedeck, arguments: list[str], code: int, words: str
) -> None:
    done = tunedeck(*arguments)

    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_jobs_can_be_steered_with_no_daemon_running(
    tunedeck: Tunedeck, recipe: Callable[[str], str], database: Database
) -> None:
    assert tunedeck("submit", recipe(SLEEPER)).stdout.split() == ["1", "2"]
    assert "no daemon is running" in tunedeck("why", "1").stdout
    assert "it needs `a` (job 1, queued)" in tunedeck("why", "2").stdout
    tunedeck("hold", "1")
    assert "it is held" in tunedeck("why", "1").stdout
    tunedeck("release", "1")
    tunedeck("priority", "1", "--to", "5")
    assert jobs.get_job(database, 1).priority == 5
    assert tunedeck("cancel", "1").returncode == 0
    assert [job.status for job in jobs.list_jobs(database)] == [Status.CANCELLED, Status.CANCELLED]
    assert tunedeck("retry", "1").returncode == 0
    assert [job.status for job in jobs.list_jobs(database)] == [Status.QUEUED, Status.BLOCKED]
    assert tunedeck("retry", "1").returncode == 1


def test_up_status_and_down(tunedeck: Tunedeck, recipe: Callable[[str], str], database: Database) -> None:
    assert tunedeck("up", "--cpu-slots", "3").returncode == 0
    try:
        assert "running already" in tunedeck("up").stderr
        state = json.loads(tunedeck("status", "--json").stdout)
        assert (state["daemon"]["running"], state["cpu_slots"]["total"]) == (True, 3)
    finally:
        assert tunedeck("down", "--stop-jobs").returncode == 0
    assert tunedeck("status").returncode == 3


def test_a_recipe_can_come_through_a_pipe(tunedeck: Tunedeck, database: Database) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"engine: command\nargv: [echo, hi]")
    os.close(writer)
    done = tunedeck("submit", "/dev/stdin", stdin=reader)
    os.close(reader)

    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert jobs.get_job(database, 1).name == "stdin"


def test_json_output_of_every_reading_command_is_json(
    tunedeck: Tunedeck, recipe: Callable[[str], str], start_daemon: Any
) -> None:
    start_daemon()
    script = 'echo \'{"kind": "metrics", "time": 1, "step": 1, "values": {"loss": 0.5}}\' >> $TUNEDECK_RUN_DIR/events.jsonl'
    tunedeck("submit", recipe(f"engine: command\nargv: [sh, -c, {json.dumps(script)}]"), "--wait")

    assert json.loads(tunedeck("jobs", "--json").stdout)[0]["status"] == "succeeded"
    assert json.loads(tunedeck("show", "1", "--json").stdout)["attempts"][0]["exit_code"] == 0
    assert json.loads(tunedeck("metrics", "1", "--json").stdout)[0]["metric"] == "loss"
    assert json.loads(tunedeck("metrics", "1", "-k", "loss", "--json").stdout)[0]["value"] == 0.5
    assert tunedeck("metrics", "1", "-k", "loss", "--csv").stdout.splitlines()[0] == "step,value,time,attempt"
    for command in ("status", "doctor", "recipes"):
        json.loads(tunedeck(command, "--json").stdout)
    assert json.loads(tunedeck("check", "smoke/command", "--json").stdout)["jobs"][0]["engine"] == "command"
    assert "anyOf" in json.loads(tunedeck("schema").stdout)
    assert "argv" in json.loads(tunedeck("schema", "command").stdout)["properties"]


def test_recipes_are_listed_shown_and_copied(tunedeck: Tunedeck, tmp_path: Path) -> None:
    assert "smoke/command" in tunedeck("recipes").stdout
    assert "engine: command" in tunedeck("recipes", "show", "smoke/command").stdout
    assert tunedeck("recipes", "copy", "smoke/command", "mine").returncode == 0
    assert (tmp_path / "mine" / "command.yaml").exists()
    again = tunedeck("recipes", "copy", "smoke/command", "mine")
    assert (again.returncode, "exists already" in again.stderr) == (2, True)


def test_output_in_a_pipe_has_no_colour_codes(tunedeck: Tunedeck, recipe: Callable[[str], str]) -> None:
    tunedeck("submit", recipe(SLEEPER))

    assert "\x1b" not in tunedeck("jobs").stdout
    assert "○ queued" in tunedeck("jobs", PYTHONIOENCODING="utf-8").stdout
    assert "o queued" in tunedeck("jobs", TUNEDECK_ASCII="1").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(tunedeck: Tunedeck, shell: str) -> None:
    assert "_TUNEDECK_COMPLETE" in tunedeck("completion", shell).stdout


def test_an_unexpected_error_is_one_line_and_the_traceback_is_in_the_log(
    tunedeck: Tunedeck, home: Path
) -> None:
    from store import paths

    paths.create(home)
    paths.database(home).mkdir()
    done = tunedeck("jobs")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_the_log_of_a_job_is_followed_until_it_ends(
    tunedeck: Tunedeck, recipe: Callable[[str], str], start_daemon: Any, database: Database, until: Any
) -> None:
    start_daemon()
    go = database.home / "go"
    script = f"echo one; while ! test -e {go}; do sleep 0.02; done; echo two; exit 3"
    tunedeck("submit", recipe(f"engine: command\nargv: [sh, -c, {json.dumps(script)}]"))
    follower = subprocess.Popen(
        [sys.executable, "-P", "-m", "cockpit", "logs", "1", "-f"], stdout=subprocess.PIPE, text=True
    )
    assert follower.stdout is not None
    assert follower.stdout.readline() == "one\n"
    go.touch()

    assert follower.communicate(timeout=60)[0] == "two\n"
    assert follower.returncode == 1
    assert tunedeck("logs", "1", "-n", "1").stdout == "two\n"


def test_what_a_job_says_of_itself_cannot_take_the_terminal_over(
    tunedeck: Tunedeck, recipe: Callable[[str], str], start_daemon: Any
) -> None:
    start_daemon()
    events = (
        '{"kind": "score", "name": "a\\u001b[2J"}\n{"kind": "failed", "time": 1e12, "error": "b\\u001b[2J"}\n'
    )
    script = f"cat > $TUNEDECK_RUN_DIR/events.jsonl <<'END'\n{events}END\nexit 1"
    tunedeck("submit", recipe(f"engine: command\nargv: [sh, -c, {json.dumps(script)}]"), "--wait")
    said = tunedeck("show", "1").stdout

    assert "b (exit code 1)" in said
    assert "score       a" in said
    assert "\x1b" not in said


def test_the_log_of_a_job_goes_into_a_pipe_byte_by_byte(home: Path, database: Database) -> None:
    from store.lifecycle import NewJob, enqueue

    _, [job_id] = enqueue(database, "test", [NewJob("a", "command", {})])
    written = b"x" * ((1 << 20) - 1) + "é\n".encode() + b"\xff\n"
    database.run_dir(job_id).mkdir()
    (database.run_dir(job_id) / "worker.log").write_bytes(written)
    command = [sys.executable, "-P", "-m", "cockpit", "logs", str(job_id)]

    assert subprocess.run(command, capture_output=True, timeout=120).stdout == written


@pytest.mark.parametrize("command", ["jobs >&-", "metrics 1 --csv >&-", "<&- >&-", "doctor >&- 2>&-"])
def test_a_closed_stdout_is_no_crash(home: Path, database: Database, command: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -P -m cockpit {command}"],
        stderr=subprocess.PIPE,
        text=True,
        timeout=120,
    )

    assert "Error: " not in done.stderr
    assert not (home / "cockpit.log").exists()
