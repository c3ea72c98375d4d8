"""Commands about order and time as users meet them: keys, times, groups, undo, schedules, why."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from store import groups, jobs, schedules
from store.database import Database
from store.schema import Status

Tunedeck = Callable[..., "subprocess.CompletedProcess[str]"]

SWEEP = """
hold_after: {failures: 2}
defaults: {group: net}
jobs:
  a: {engine: command, argv: [echo, hi], matrix: {seed: [1, 2]}, resources: {gpus: 1, gpu_memory: 20GiB}}
  b: {engine: command, argv: [echo, hi], needs: [a], retry: {times: 2, delay: 5, on_oom: {env: {N: 1}}}}
"""


@pytest.fixture
def tunedeck(home: Path, tmp_path: Path) -> Tunedeck:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-P", "-m", "cockpit", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=120, env=os.environ)

    return run


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "r.yaml").write_text(text)
        return "r.yaml"

    return write


def test_what_a_recipe_says_of_order_and_time_reaches_the_queue(
    tunedeck: Tunedeck, recipe: Callable[[str], str], database: Database
) -> None:
    assert tunedeck("submit", recipe(SWEEP), "--at", "+2h").stdout.split() == ["1", "2", "3"]
    a, _, b = jobs.list_jobs(database)

    assert (a.group, a.gpus, a.gpu_memory) == ("net", 1, 20 << 30)
    assert a.not_before == pytest.approx(time.time() + 7200, abs=60)
    assert b.recipe["retry"]["on_oom"] == [{"env": {"N": 1}}]
    from store.results import get_experiment

    assert get_experiment(database, a.experiment_id).hold_after == {"failures": 2, "seconds": 60.0}


def test_the_same_key_prints_the_same_jobs_and_other_jobs_under_it_are_refused(
    tunedeck: Tunedeck, recipe: Callable[[str], str], database: Database
) -> None:
    name = recipe(SWEEP)
    first, again = (tunedeck("submit", name, "--key", "night-1").stdout for _ in range(2))
    other = tunedeck("submit", name, "--key", "night-1", "--set", "jobs.b.seed=7")

    assert first == again == "1\n2\n3\n"
    assert len(jobs.list_jobs(database)) == 3
    assert other.returncode == 1
    assert "key `night-1`: experiment 1 was submitted under it" in other.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("engine: command\nargv: [x]\ncron: never", "r.yaml:3: cron: `never` has 1 fields"),
        ("engine: command\nargv: [x]\nat: soon", "r.yaml:3: at: `soon` is no time"),
        ("engine: command\nargv: [x]\nat: +1h\ncron: '@daily'", "`cron`, or jobs with `at`, and not both"),
        ("engine: command\nargv: [x]\nretry: {on_oom: {argv: []}}", "`retry.on_oom`, step 1: argv"),
        (
            "engine: command\nargv: [x]\nretry: {on_oom: {priority: 2}}",
            "`priority` cannot be changed any more",
        ),
        ("engine: command\nargv: [x]\nresources: {gpus: 1, gpu_memory: 20}", "gpu_memory"),
        ("engine: command\nargv: [x]\nresources: {gpu_memory: 2GiB, gpus: 0}", "needs `gpus: 1`"),
        ("engine: command\nargv: [x]\nhold_after: {failure: 2}", "hold_after.failure: unknown key"),
    ],
)
def test_mistakes_about_order_and_time_are_found_before_anything_is_queued(
    tunedeck: Tunedeck, recipe: Callable[[str], str], home: Path, text: str, words: str
) -> None:
    done = tunedeck("submit", recipe(text))

    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert not home.exists()


def test_a_recipe_with_cron_becomes_a_schedule_that_can_be_paused_and_removed(
    tunedeck: Tunedeck, recipe: Callable[[str], str], database: Database
) -> None:
    name = recipe("engine: command\nargv: [echo]\ncron: 0 22 * * 1-5")
    assert "queued at `0 22 * * 1-5`, next 20" in tunedeck("check", name).stderr
    done = tunedeck("submit", name)

    assert (done.returncode, done.stdout) == (0, "")
    assert "schedule 1 (r): 1 jobs at `0 22 * * 1-5`, next 20" in done.stderr
    assert jobs.list_jobs(database) == []
    [listed] = json.loads(tunedeck("schedules", "--json").stdout)
    assert (listed["cron"], listed["paused"], listed["next_at"] > time.time()) == (
        "0 22 * * 1-5",
        False,
        True,
    )
    assert tunedeck("schedules", "pause", "1").returncode == 0
    assert "paused" in tunedeck("schedules").stdout
    assert tunedeck("schedules", "remove", "1").returncode == 0
    assert schedules.list_schedules(database) == []
    assert tunedeck("schedules", "remove", "1").returncode == 1


def test_groups_are_limited_and_paused_and_why_says_so(
    tunedeck: Tunedeck, recipe: Callable[[str], str], database: Database, start_daemon: Callable[..., object]
) -> None:
    assert tunedeck("group", "net", "--slots", "2", "--pause").returncode == 0
    tunedeck("submit", recipe("engine: command\nargv: [echo]\ngroup: net"))
    start_daemon()

    assert groups.list_groups(database) == [groups.Group("net", 2, True, running=0, waiting=1)]
    assert (
        "its group `net` is paused; `tunedeck group net --resume` lets it go" in tunedeck("why", "1").stdout
    )
    assert tunedeck("group").stdout.splitlines()[1].split() == ["net", "2", "0", "1", "paused"]
    assert tunedeck("group", "net", "--resume").returncode == 0
    assert tunedeck("wait", "1").returncode == 0


def test_a_cancelled_sweep_is_brought_back_at_once(
    tunedeck: Tunedeck, recipe: Callable[[str], str], database: Database
) -> None:
    tunedeck("submit", recipe(SWEEP))
    assert tunedeck("cancel", "-e", "1").returncode == 0
    assert jobs.count_by_status(database) == {Status.CANCELLED: 3}
    assert (
        tunedeck("undo", "-e", "1").returncode == 0
    )  # `b` was given up because of `a`, and comes back with it
    assert jobs.count_by_status(database) == {Status.QUEUED: 2, Status.BLOCKED: 1}
    assert tunedeck("hold", "-e", "r").returncode == 0
    assert all(job.held for job in jobs.list_jobs(database))
    assert tunedeck("release").returncode == 2


def test_why_says_when_a_job_starts(
    tunedeck: Tunedeck, recipe: Callable[[str], str], start_daemon: Callable[..., object]
) -> None:
    tunedeck("submit", recipe("engine: command\nargv: [echo]\nat: 2999-01-01T10:00"))
    start_daemon()

    assert "it starts at 2999-01-01 10:00:00" in tunedeck("why", "1").stdout


def test_a_sweep_that_fails_is_held_says_why_and_is_released_as_a_whole(
    tunedeck: Tunedeck, recipe: Callable[[str], str], database: Database, start_daemon: Callable[..., object]
) -> None:
    text = "hold_after: {failures: 2}\njobs: {a: {engine: command, argv: ['false'], matrix: {seed: [1, 2, 3, 4, 5]}}}"
    tunedeck("submit", recipe(text))
    start_daemon("--cpu-slots", "1")
    assert tunedeck("wait", "1", "2").returncode == 1

    assert [job.held for job in jobs.list_jobs(database)] == [False, False, True, True, True]
    said = tunedeck("why", "4").stdout
    assert "held with its experiment, as 2 jobs of its experiment failed within 60 s each" in said
    assert "`tunedeck release -e 1` lets them go" in said
    assert tunedeck("release", "-e", "1").returncode == 0
    assert tunedeck("wait", "3", "4").returncode == 1
    assert jobs.get_job(database, 5).held


def test_jobs_are_listed_by_the_filter_of_the_cockpit_and_a_wrong_one_is_explained(
    tunedeck: Tunedeck, recipe: Callable[[str], str]
) -> None:
    tunedeck("submit", recipe(SWEEP), "--at", "+2h")
    found = tunedeck("jobs", "--filter", "(/seed=2/ OR status:blocked) group:net age<1h NOT acc>0", "--json")
    assert [job["id"] for job in json.loads(found.stdout)] == [2, 3]
    assert json.loads(tunedeck("jobs", "-f", "gpus>1", "--json").stdout) == []
    wrong = tunedeck("jobs", "--filter", "acc>high")
    assert wrong.returncode == 2
    assert "`high` is no number" in wrong.stderr and "hint: write like acc>0.5" in wrong.stderr
