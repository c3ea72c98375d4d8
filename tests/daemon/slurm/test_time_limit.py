"""Slurm's time limit: real training that is stopped by it and goes on from its checkpoint; and a job that never gets on."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cockpit.submission import submit
from store import jobs, metrics, results
from store import slurm as in_slurm
from store.database import Database
from store.schema import Status

pytestmark = pytest.mark.slurm

# Some two minutes of training on one core, so that a limit of one minute is in its way.
TRAINING = {
    "name": "limited",
    "jobs": {
        "train": {
            "engine": "pretrain",
            "task": "pocket-math",
            "architecture": {
                "vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
                "num_attention_heads": 2,
            },
            "documents": 500,
            "sequence_length": 64,
            "max_steps": 100_000,
            "save_steps": 10_000_000,
            "per_device_train_batch_size": 8,
            "resources": {"slurm": "main", "time": "1m", "gpus": 0},
        },
    },
}  # fmt: skip


@pytest.mark.timeout(400)
def test_training_that_slurm_ends_at_its_time_limit_goes_on_from_its_checkpoint(
    slurm: Any, profiles: Any, database: Database, start_daemon: Any, until: Any, tmp_path: Path
) -> None:
    """No checkpoint is due before the end: what the second attempt starts from was saved because of Slurm's signal."""
    profiles(main={"partition": "main", "cpus": 2, "signal_seconds": 20})
    recipe = tmp_path / "limited.yaml"
    recipe.write_text(yaml.safe_dump(TRAINING))
    start_daemon()
    _, [job_id], _ = submit(database, recipe)
    run_dir = database.run_dir(job_id)
    until(lambda: jobs.get_job(database, job_id).attempt == 2, 150)

    first, *_ = results.list_attempts(database, job_id)
    assert (first.exit_code, first.outcome) == (75, "queued")
    assert json.loads((run_dir / "exit-1.json").read_text())["reason"] == "limit"
    reasons = [moved.reason for moved in results.list_transitions(database, job_id)]
    assert (
        "stopped at a checkpoint at Slurm's time limit of 1 min; goes on from its last checkpoint" in reasons
    )
    (checkpoint,) = [a for a in results.list_artifacts(database, job_id) if a.name == "checkpoint"]
    assert checkpoint.step is not None
    until(lambda: metrics_reach(database, job_id, checkpoint.step + 50), 120)
    started = [event for event in events_of(run_dir) if event["kind"] == "started"]
    assert [event["resume_step"] for event in started] == [None, checkpoint.step]
    steps = [point.step for point in metrics.read_points(database, job_id, "loss")]
    assert steps == sorted(set(steps))
    assert in_slurm.attempts_of(database, job_id)[0]["stalled"] == 0


@pytest.mark.timeout(400)
def test_a_job_that_gets_no_further_between_two_limits_fails_with_the_reason(
    slurm: Any, profiles: Any, database: Database, start_daemon: Any, through_slurm: Any, ended: Any
) -> None:
    profiles(main={"partition": "main", "signal_seconds": 60})
    start_daemon()
    code = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(75)); time.sleep(1000)"
    job = ended(through_slurm(sys.executable, "-c", code, time="1m"), 240)

    assert (job.status, job.attempt, job.exit_code) == (Status.FAILED, 2, 75)
    assert job.reason == (
        "2 attempts in a row reached Slurm's time limit of 1 min and got no further; give it more `resources.time`"
    )


def metrics_reach(database: Database, job_id: int, step: int) -> bool:
    return any(
        one.name == "loss" and (one.last_step or 0) > step for one in metrics.list_series(database, [job_id])
    )


def events_of(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
