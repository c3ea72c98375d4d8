"""Kill -9 at every place that `store/faults.py` names: whoever passes there dies, and the next daemon puts it right."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.chaos import worker
from daemon.chaos.verdict import Kills, judge
from daemon.launch import process_file
from daemon.processes import is_alive
from daemon.records import read_record
from store import faults, jobs, metrics, results
from store.database import Database
from store.schema import Status

ROOT = Path(__file__).parents[2]
IN_THE_SUBMITTER = [point for point in faults.POINTS if point.startswith("submit.")]
IN_THE_SUPERVISOR = [point for point in faults.POINTS if point.startswith("supervisor.")]
ELSEWHERE = ("submit.", "supervisor.", "prune.", "slurm.")
"""The last two: see tests/store/test_pruning.py and slurm/test_kills.py."""
IN_THE_DAEMON = [point for point in faults.POINTS if not point.startswith(ELSEWHERE)]


def test_every_place_that_is_named_is_in_the_code_and_the_other_way_round() -> None:
    sources = [path for package in ("store", "daemon") for path in (ROOT / package).rglob("*.py")]
    used = [name for path in sources for name in re.findall(r'faults\.point\("([^"]+)"\)', path.read_text())]

    assert sorted(used) == sorted(faults.POINTS)


@pytest.fixture
def queued(database: Database, submit: Any) -> list[int]:
    """Three jobs for one GPU and one slot: two on the GPU, of which one fails with 3, and one beside them."""
    witness = database.home / "witness"
    witness.mkdir()

    def queue(name: str, code: int, gpus: int) -> int:
        argv = [sys.executable, "-I", "-S", worker.__file__, str(witness), "1", "25", "0.1", str(code)]
        return int(submit(*argv, name=name, gpus=gpus, retries=3, retry={"times": 3, "on": ["lost"]}))

    return [queue("a", 0, 1), queue("b", 3, 1), queue("c", 7, 0)]


def dies_at(point: str, database: Database, visits: int = 1) -> "subprocess.Popen[bytes]":
    with (database.home / "daemon.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "daemon", "--home", str(database.home), "--cpu-slots", "1", "--pretend-gpus", "1"],
            stdout=log,
            stderr=log,
            env=os.environ | {"TUNEDECK_FAULT": f"{point}:{visits}"},
        )  # fmt: skip


def check(database: Database, ids: list[int], kills: Kills) -> None:
    verdict = judge(database, ids, database.home / "witness", kills)

    assert verdict.findings == []
    assert verdict.broken == 0
    codes = [jobs.get_job(database, job_id).exit_code for job_id in ids]
    assert codes == [0, 3, 7]
    for job_id in ids:
        steps = [point.step for point in metrics.read_points(database, job_id, "loss")]
        assert steps == list(range(1, 26))


@pytest.mark.parametrize("point", IN_THE_DAEMON)
@pytest.mark.parametrize("visits", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_daemon_that_is_killed_at_a_place_is_followed_by_one_that_puts_it_right(
    point: str,
    visits: int,
    database: Database,
    queued: list[int],
    start_daemon: Callable[..., Any],
    ended: Any,
) -> None:
    daemon = dies_at(point, database, visits)
    assert daemon.wait(timeout=120) == -9
    start_daemon("--cpu-slots", "1", "--pretend-gpus", "1")
    for job_id in queued:
        ended(job_id)

    check(database, queued, Kills())


@pytest.mark.parametrize("point", IN_THE_SUPERVISOR)
def test_a_supervisor_that_is_killed_at_a_place_leaves_no_process_and_its_job_is_run_again(
    point: str,
    database: Database,
    queued: list[int],
    start_daemon: Callable[..., Any],
    ended: Any,
    until: Any,
) -> None:
    daemon = dies_at(point, database)
    until(lambda: any(attempt.outcome for attempt in results.list_attempts(database, queued[0])))
    daemon.kill()
    daemon.wait()
    start_daemon("--cpu-slots", "1", "--pretend-gpus", "1")
    for job_id in queued:
        ended(job_id)

    attempts = {(job_id, a.number) for job_id in queued for a in results.list_attempts(database, job_id)}
    check(database, queued, Kills(supervisors=attempts))
    for job_id, number in attempts:
        process = read_record(process_file(database.run_dir(job_id), number))
        assert process is None or not is_alive(process["worker"])


@pytest.mark.parametrize("point", IN_THE_SUBMITTER)
def test_a_submission_that_is_cut_short_is_queued_whole_or_not_at_all(
    point: str, database: Database, tmp_path: Path
) -> None:
    recipe = tmp_path / "two.yaml"
    recipe.write_text(
        "name: two\njobs:\n  a: {engine: command, argv: ['true']}\n"
        "  b: {engine: command, argv: ['true'], needs: [a]}\n"
    )
    submit = [sys.executable, "-P", "-m", "cockpit", "submit", str(recipe)]
    cut = subprocess.run(submit, env=os.environ | {"TUNEDECK_FAULT": point}, capture_output=True, text=True)

    assert (cut.returncode, cut.stdout) == (-9, "")
    there = [(job.id, job.status) for job in jobs.list_jobs(database)]
    assert there == ([(1, Status.QUEUED), (2, Status.BLOCKED)] if point == "submit.committed" else [])
    again = subprocess.run(submit, capture_output=True, text=True, check=True)
    assert [int(line) for line in again.stdout.split()] == [len(there) + 1, len(there) + 2]
    assert len(jobs.list_jobs(database)) == len(there) + 2
