"""`tunedeck prune` as users meet it."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from daemon.reindex import reindex
from store import jobs, metrics
from store.database import Database, open_database
from store.pruning import read_marker
from store.schema import Status


@pytest.fixture
def tunedeck(database: Database) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-P", "-m", "cockpit", *arguments]
        return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)

    return run


LEAVES = """mkdir $TUNEDECK_RUN_DIR/checkpoints; head -c 5000 /dev/zero > $TUNEDECK_RUN_DIR/checkpoints/state
echo '{"kind": "metrics", "time": 5, "step": 1, "values": {"loss": 0.5}}
{"kind": "checkpoint", "time": 6, "step": 1, "path": "checkpoints/state"}' >> $TUNEDECK_RUN_DIR/events.jsonl"""


def test_a_prune_shows_first_and_a_pruned_run_is_known_as_such_even_after_a_rebuild(
    tunedeck: Any, database: Database, submit: Any, ended: Any, start_daemon: Any
) -> None:
    start_daemon()
    job_id = submit("sh", "-c", LEAVES)
    assert ended(job_id).status is Status.SUCCEEDED
    asked = tunedeck("prune")
    assert asked.returncode == 1
    assert "4.88 KiB" in asked.stdout
    assert "--yes" in asked.stderr
    assert (database.run_dir(job_id) / "checkpoints").exists()

    done = json.loads(tunedeck("prune", "--yes", "--json").stdout)
    assert (done["bytes"], done["done"]) == (5000, {"bytes": 5000, "paths": 1, "spared": 0})
    assert not (database.run_dir(job_id) / "checkpoints").exists()
    shown = tunedeck("show", str(job_id)).stdout
    assert "checkpoints/state (pruned)" in shown
    assert "pruned      checkpoints, 4.88 KiB" in shown

    tunedeck("down")
    database.close()
    assert reindex(database.home).unreadable == []
    rebuilt = open_database(database.home)
    assert jobs.get_job(rebuilt, job_id).status is Status.SUCCEEDED
    assert [point.value for point in metrics.read_points(rebuilt, job_id, "loss")] == [0.5]
    assert read_marker(rebuilt.run_dir(job_id))[0]["bytes"] == 5000
    rebuilt.close()


@pytest.mark.parametrize(
    "arguments",
    [["--runs"], ["--models"], ["3", "--cache"], ["--older-than", "soon"]],
)
def test_what_is_too_much_or_makes_no_sense_is_refused(tunedeck: Any, arguments: list[str]) -> None:
    refused = tunedeck("prune", *arguments)

    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
