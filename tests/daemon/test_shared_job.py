"""A job that two processes share, under a real daemon: it trains, is killed, and goes on."""

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cockpit.submission import submit
from daemon.argv import worker_argv
from daemon.launch import process_file
from engines.events import EventWriter
from engines.run import Run
from store import metrics, results
from store.database import Database
from store.schema import Status

RECIPE = """
engine: sft
model: {base: pocket}
task: pocket-math
prompt: {system: ""}
device: cpu
resources: {gpus: 0, processes: 2}
train_samples: 32
num_train_epochs: 3
per_device_train_batch_size: 2
gradient_accumulation_steps: 1
learning_rate: 1e-3
save_steps: 4
retry: {times: 1}
"""


def living_in(group: int) -> list[int]:
    """Processes of a group that are no zombies."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
def test_a_shared_job_is_killed_leaves_nobody_behind_and_goes_on_to_the_numbers_of_one_process(
    database: Database,
    start_daemon: Any,
    ended: Any,
    until: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    start_daemon("--cpu-slots", "1")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    _, [job_id], plan = submit(database, tmp_path / "recipe.yaml")
    run_dir = database.run_dir(job_id)
    until(lambda: (run_dir / "checkpoints" / "checkpoint-4" / "trainer_state.json").exists(), 120)
    worker = json.loads(process_file(run_dir, 1).read_text())["worker"]["pid"]
    assert len(living_in(worker)) == 3  # the launcher and its two processes
    os.kill(worker, signal.SIGKILL)
    until(lambda: not living_in(worker))
    job = ended(job_id, 240)

    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2), job.reason
    assert [attempt.exit_code for attempt in results.list_attempts(database, job_id)] == [-9, 0]
    losses = {point.step: point.value for point in metrics.read_points(database, job_id, "loss")}
    alone = plan.jobs[0].recipe.model_copy(update={"per_device_train_batch_size": 4, "resources": None})
    (tmp_path / "alone").mkdir()
    expected = losses_of_one_process(alone, tmp_path / "alone")
    assert sorted(losses) == sorted(expected) == list(range(1, 25))
    assert losses == pytest.approx(expected, abs=1e-4)


def losses_of_one_process(recipe: Any, directory: Path) -> dict[int, float]:
    from engines.sft import run

    run(recipe, Run(dir=directory, events=EventWriter(directory), seed=recipe.seed, name="alone"))
    events = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    return {event["step"]: event["values"]["loss"] for event in events if event["kind"] == "metrics"}


@pytest.mark.parametrize(
    ("engine", "resources", "program"),
    [
        ("sft", {"gpus": "auto"}, ["engines", "RUN"]),
        ("sft", {"gpus": 1}, ["engines", "RUN"]),
        ("sft", {"gpus": 4}, ["engines.distributed.launcher", "RUN", "4"]),
        ("grpo", {"gpus": 0, "processes": 2}, ["engines.distributed.launcher", "RUN", "2"]),
        ("eval", {}, ["engines", "RUN"]),
    ],
)
def test_a_job_of_several_processes_is_started_by_their_launcher(
    engine: str, resources: dict[str, Any], program: list[str]
) -> None:
    job: Any = SimpleNamespace(engine=engine, recipe={"resources": resources})
    assert worker_argv(job, Path("RUN"))[1:] == ["-P", "-m", *program]


def test_a_command_on_many_gpus_is_the_worker_itself() -> None:
    job: Any = SimpleNamespace(engine="command", recipe={"argv": ["torchrun", "x"], "resources": {"gpus": 8}})
    assert worker_argv(job, Path("RUN")) == ["torchrun", "x"]
