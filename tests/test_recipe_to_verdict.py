"""The main job on real input: recipes through daemon, workers and store, and what survives when processes are killed."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit import comparison
from cockpit.submission import submit
from daemon.launch import process_file
from store import jobs, metrics, results
from store.database import Database
from store.schema import Status

PIPELINE = """
defaults:
  model: {base: pocket}
  task: pocket-math
  prompt: {system: ""}
  device: cpu
  resources: {gpus: 0}
  sampling: {max_new_tokens: 64}
  gradient_accumulation_steps: 1
  eval: {limit: 100}
jobs:
  base: {engine: eval, stage: base, limit: 100}
  prep:
    engine: sft
    train_samples: 128
    num_train_epochs: 10
    per_device_train_batch_size: 16
    learning_rate: 5e-3
    lora: {r: 16, lora_alpha: 32}
"""

TRAINING = """
engine: sft
model: {base: pocket}
task: pocket-math
prompt: {system: ""}
device: cpu
resources: {gpus: 0}
train_samples: 96
num_train_epochs: 4
per_device_train_batch_size: 4
gradient_accumulation_steps: 1
learning_rate: 1e-3
save_steps: 16
retry: {times: 1}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # sums in another order are other sums


def stored_losses(database: Database, job_id: int) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in metrics.read_points(database, job_id, "loss")]


def logged_losses(run_dir: Path) -> list[tuple[int, float]]:
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    return [
        (e["step"], e["values"]["loss"]) for e in events if e["kind"] == "metrics" and "loss" in e["values"]
    ]


def test_a_recipe_is_queued_trained_evaluated_and_compared(
    database: Database, start_daemon: Any, ended: Any, recipe: Callable[[str], Path]
) -> None:
    start_daemon("--cpu-slots", "2")
    _, job_ids, plan = submit(database, recipe(PIPELINE))
    finished = {job.name: ended(job_id, 240) for job_id, job in zip(job_ids, plan.jobs, strict=True)}
    assert {job.status for job in finished.values()} == {Status.SUCCEEDED}, [
        job.reason for job in finished.values()
    ]

    base, prep = finished["base"], finished["prep/eval"]
    table = comparison.compare(database, [base.id, prep.id])
    verdict = table.verdict(table.entries[1], "strict")
    assert verdict is not None
    assert (verdict.n, verdict.text, verdict.only_baseline) == (100, "better", 0)

    run_dir = database.run_dir(prep.id)
    figures = json.loads((run_dir / "metrics.json").read_text())
    assert figures["scores"]["strict"]["value"] == table.entries[1].scores["strict"].value
    assert len(results.list_examples(database, prep.id)) == 100
    names = {path.name for path in (run_dir / "debug").iterdir()}
    assert any(name.startswith("prep_") and name.endswith(".csv") for name in names)
    trained = database.run_dir(finished["prep"].id)
    assert (trained / "model" / "adapter_model.safetensors").exists()
    losses = stored_losses(database, finished["prep"].id)
    assert losses == logged_losses(trained)
    assert losses[-1][1] < losses[0][1]


def test_training_survives_the_daemon_and_the_worker_being_killed_with_the_same_losses(
    database: Database, start_daemon: Any, ended: Any, until: Any, recipe: Callable[[str], Path]
) -> None:
    daemon = start_daemon("--cpu-slots", "1")
    _, [undisturbed], _ = submit(database, recipe(TRAINING))
    ended(undisturbed, 240)
    _, [disturbed], _ = submit(database, recipe(TRAINING))
    run_dir = database.run_dir(disturbed)

    until(lambda: metrics.list_series(database, [disturbed]), 120)
    daemon.kill()
    daemon.wait()
    until(lambda: (run_dir / "checkpoints" / "checkpoint-16" / "trainer_state.json").exists(), 120)
    start_daemon("--cpu-slots", "1")
    until(lambda: logged_losses(run_dir)[-1][0] > 20, 120)
    worker = json.loads(process_file(run_dir, 1).read_text())["worker"]["pid"]

    def stands_between_checkpoints() -> bool:
        os.kill(worker, signal.SIGSTOP)
        last = logged_losses(run_dir)[-1][0]
        if not (run_dir / "checkpoints" / f"checkpoint-{last}").exists():
            return True
        os.kill(worker, signal.SIGCONT)
        return False

    until(stands_between_checkpoints, 120)
    os.kill(worker, signal.SIGKILL)
    job = ended(disturbed, 240)

    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert [attempt.exit_code for attempt in results.list_attempts(database, disturbed)] == [-9, 0]
    assert stored_losses(database, disturbed) == stored_losses(database, undisturbed)
    taken_back = [(p.step, p.value) for p in metrics.read_points(database, disturbed, "loss", retracted=True)]
    assert taken_back
    assert sorted([*stored_losses(database, disturbed), *taken_back]) == sorted(logged_losses(run_dir))
    assert jobs.get_job(database, disturbed).unreadable_lines == 0
