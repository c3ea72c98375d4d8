"""GPUs given out by a real daemon to real processes; only the driver is played, by a file."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.gpus.cards import FILE_VARIABLE
from store import jobs, machine, metrics, results
from store.database import Database
from store.schema import Status

GIB = 1 << 30
# Waits for a file, so that a test decides how long it runs.
WAITER = ("sh", "-c", "until test -e $TUNEDECK_RUN_DIR/finish; do sleep 0.02; done")


class Board:
    """The driver's part: a file of cards, changed as a driver would show it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cards: dict[str, dict[str, Any]] = {}

    def add(self, uuid: str, **fields: Any) -> None:
        entry = {"uuid": uuid, "name": "H200", "index": str(len(self.cards)), "memory_bytes": 81 * GIB}
        self.cards[uuid] = entry | {"util_percent": 50.0, "power_watts": 300.0, "used_bytes": 0} | fields
        self.write()

    def show(self, uuid: str, *pids: int, **fields: Any) -> None:
        """Which processes compute on a card from now on."""
        self.cards[uuid] |= {"processes": [{"pid": pid, "memory_bytes": GIB} for pid in pids]} | fields
        self.write()

    def write(self) -> None:
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(list(self.cards.values())))
        temporary.rename(self.path)


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    board = Board(tmp_path / "gpus.json")
    monkeypatch.setenv(FILE_VARIABLE, str(board.path))
    return board


@pytest.fixture
def foreign() -> Any:
    """Somebody else's process."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate()


def devices_of(database: Database, job_id: int) -> list[str]:
    return results.list_attempts(database, job_id)[-1].devices


def why(database: Database, job_id: int) -> str:
    from cockpit.waiting import explain_wait

    return explain_wait(database, jobs.get_job(database, job_id))


def finish(database: Database, job_id: int) -> None:
    (database.run_dir(job_id) / "finish").touch()


def test_a_job_gets_a_card_by_its_uuid_and_the_next_waits_and_is_told_for_whom(
    board: Board, start_daemon: Any, database: Database, submit: Any, ended: Any, until: Any
) -> None:
    board.add("GPU-aaaa")
    start_daemon("--cpu-slots", "1")
    first = submit("sh", "-c", f"echo $CUDA_VISIBLE_DEVICES; {WAITER[2]}", name="first", gpus=1)
    until(lambda: jobs.get_job(database, first).status is Status.RUNNING)
    second = submit("true", name="second", gpus=1)
    cpu = submit("true", name="cpu")

    assert ended(cpu).status is Status.SUCCEEDED
    assert jobs.get_job(database, second).status is Status.QUEUED
    assert why(database, second) == (
        "it wants 1 GPU, and 0 of the 1 that may be given out are free; 0 ready jobs ahead of it\n"
        "  GPU-aaaa (H200): job 1 (`first`) has it"
    )
    finish(database, first)
    assert ended(second).status is Status.SUCCEEDED
    assert (database.run_dir(first) / "worker.log").read_text() == "GPU-aaaa\n"


def test_a_card_that_somebody_else_uses_is_not_given_out_until_it_is_free(
    board: Board, foreign: Any, start_daemon: Any, database: Database, submit: Any, ended: Any, until: Any
) -> None:
    board.add("GPU-aaaa")
    board.show("GPU-aaaa", foreign.pid)
    start_daemon()
    job_id = submit("true", gpus=None)
    until(lambda: "blocked" in (machine.get_daemon(database) or pytest.fail()).gpus[0])

    assert f"GPU-aaaa (H200): pid {foreign.pid} (python" in why(database, job_id)
    assert jobs.get_job(database, job_id).status is Status.QUEUED
    board.show("GPU-aaaa")
    machine.nudge(database.home)
    assert ended(job_id).status is Status.SUCCEEDED
    assert devices_of(database, job_id) == ["GPU-aaaa"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"processes": None}, "the driver does not say who uses it"),
        (
            {"unexplained_bytes": 30 * GIB},
            "30.0 GiB of it are in use by a process that the driver does not show",
        ),
        ({"processes": [{"pid": 2**22 + 1}]}, "pid 4194305, which cannot be seen from here uses it"),
    ],
)
def test_an_unclear_card_is_not_given_out(
    board: Board,
    start_daemon: Any,
    database: Database,
    submit: Any,
    ended: Any,
    fields: dict[str, Any],
    words: str,
) -> None:
    board.add("GPU-aaaa", **fields)
    board.add("GPU-bbbb")
    start_daemon()

    assert ended(submit("true", name="a", gpus=1)).status is Status.SUCCEEDED
    assert devices_of(database, 1) == ["GPU-bbbb"]
    pair = submit("true", name="pair", gpus=2)
    # Two cards will not do for a job of two while one of them is unclear, and it keeps nobody else from the other.
    assert ended(submit("true", name="b", gpus=1)).status is Status.SUCCEEDED
    assert jobs.get_job(database, pair).status is Status.QUEUED
    assert words in why(database, pair)


def test_jobs_share_a_card_by_what_they_declare_and_one_that_takes_more_keeps_the_third_out(
    board: Board, start_daemon: Any, database: Database, submit: Any, until: Any
) -> None:
    board.add("GPU-aaaa")  # 81 GiB, of which 1 is kept free
    start_daemon()
    a, b = (submit(*WAITER, name=name, gpus=1, gpu_memory=20 * GIB) for name in "ab")
    for job_id in (a, b):
        until(lambda job_id=job_id: jobs.get_job(database, job_id).status is Status.RUNNING)
    worker = results.list_attempts(database, a)[-1].process["worker"]["pid"]  # type: ignore[index]
    board.cards["GPU-aaaa"]["processes"] = [{"pid": worker, "memory_bytes": 45 * GIB}]
    board.write()
    c = submit(*WAITER, name="c", gpus=1, gpu_memory=20 * GIB)
    cpu = submit("true", name="cpu")
    until(lambda: jobs.get_job(database, cpu).is_final)

    assert jobs.get_job(database, c).status is Status.QUEUED
    assert "GPU-aaaa (H200): job 1 (`a`) has 20 GiB, job 2 (`b`) has 20 GiB of its 81 GiB" in why(database, c)
    board.show("GPU-aaaa", worker)
    machine.nudge(database.home)
    until(lambda: jobs.get_job(database, c).status is Status.RUNNING)
    assert {devices_of(database, job_id)[0] for job_id in (a, b, c)} == {"GPU-aaaa"}


def test_the_cards_of_a_job_become_its_metrics_and_a_job_on_a_card_of_others_is_reported(
    board: Board, start_daemon: Any, database: Database, submit: Any, ended: Any, until: Any
) -> None:
    board.add("GPU-aaaa", temperature_celsius=61.0, used_bytes=3 * GIB)
    board.add("GPU-bbbb")
    start_daemon()
    # A child in a session of its own, as launchers make them, whose parent has gone.
    script = f"setsid sh -c 'echo $$ > $TUNEDECK_RUN_DIR/child; {WAITER[2]}' & {WAITER[2]}"
    job_id = submit("sh", "-c", script, gpus=1)
    child = database.run_dir(job_id) / "child"
    until(lambda: child.exists() and child.read_text().strip())
    board.show("GPU-bbbb", int(child.read_text()))
    until(lambda: results.newest_warning(database, job_id))

    warning = results.newest_warning(database, job_id)
    assert warning is not None
    assert warning.startswith("it computes on GPU-bbbb, which it was not given (it has GPU-aaaa)")
    finish(database, job_id)
    ended(job_id)
    newest = {series.name: series.last_value for series in metrics.list_series(database, [job_id])}
    assert newest == {
        "gpu/0/util": 50.0,
        "gpu/0/power": 300.0,
        "gpu/0/temperature": 61.0,
        "gpu/0/memory": 3.0,
    }
    kept = [json.loads(line) for line in (database.run_dir(job_id) / "gpu.jsonl").read_text().splitlines()]
    assert [event["text"] for event in kept if event["kind"] == "message"] == [warning]
    assert len([event for event in kept if event["kind"] == "metrics"]) == len(
        list(metrics.read_points(database, job_id, "gpu/0/util"))
    )


def test_preferred_cards_go_first_and_excluded_ones_never(
    board: Board, start_daemon: Any, database: Database, submit: Any, until: Any
) -> None:
    for uuid in ("GPU-aaaa", "GPU-bbbb", "GPU-cccc", "MIG-dddd"):
        board.add(uuid)
    (database.home / "config.yaml").write_text('gpus: {prefer: [MIG-dddd, "1"], exclude: [GPU-aaaa]}\n')
    start_daemon()
    ids = [submit(*WAITER, name=name, gpus=1) for name in "abcd"]
    until(lambda: [jobs.get_job(database, job_id).status for job_id in ids[:3]] == [Status.RUNNING] * 3)

    assert [devices_of(database, job_id) for job_id in ids[:3]] == [["MIG-dddd"], ["GPU-bbbb"], ["GPU-cccc"]]
    assert jobs.get_job(database, ids[3]).status is Status.QUEUED


def test_a_config_that_is_wrong_keeps_the_daemon_from_starting_and_says_where(
    home: Path, database: Database
) -> None:
    (home / "config.yaml").write_text("gpus: {exlude: [0]}\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "daemon", "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ,
    )

    assert done.returncode == 1
    assert "config.yaml: gpus.exlude: unknown key; allowed: allow_unclear, exclude" in done.stderr


def test_a_killed_daemon_books_no_card_twice(
    board: Board, start_daemon: Any, database: Database, submit: Callable[..., int], ended: Any, until: Any
) -> None:
    board.add("GPU-aaaa")
    daemon = start_daemon()
    first = submit(*WAITER, name="first", gpus=1)
    until(lambda: jobs.get_job(database, first).status is Status.RUNNING)
    daemon.kill()
    daemon.wait()
    second, cpu = submit("true", name="second", gpus=1), submit("true", name="cpu")
    start_daemon()

    assert ended(cpu).status is Status.SUCCEEDED
    assert jobs.get_job(database, second).status is Status.QUEUED
    assert [owner.job_id for owner in machine.reservations(database)["GPU-aaaa"]] == [first]
    finish(database, first)
    assert ended(second).status is Status.SUCCEEDED
