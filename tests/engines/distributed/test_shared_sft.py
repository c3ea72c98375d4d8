"""Supervised training that two processes share: the numbers of one, and what survives signals."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from daemon.argv import worker_argv
from engines.events import EventWriter
from engines.run import Run
from engines.sft import Recipe
from engines.sft import run as run_sft


@pytest.fixture(scope="module")
def recipe(tiny_model, sums):
    def make(processes=2, **fields):
        body = {
            "engine": "sft",
            "model": {"base": str(tiny_model)},
            "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1},
            "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 10},
            "train_samples": 32,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 4 // processes,
            "gradient_accumulation_steps": 2,
            "learning_rate": 5e-3,
            "warmup_steps": 0,
            "save_steps": 3,
            "device": "cpu",
            "resources": {"gpus": 0, "processes": processes},
        }
        return Recipe.model_validate(body | fields)

    return make


NAMES = ("loss", "learning_rate", "grad_norm", "entropy", "mean_token_accuracy", "tokens", "epoch")


def metrics(run_dir):
    """The last value of each name at each step."""
    found = {name: {} for name in (*NAMES, "eval_loss", "dev_accuracy_strict")}
    for event in events(run_dir):
        for name, value in event.get("values", {}).items():
            if name in found:
                found[name][event["step"]] = value
    return found


def events(run_dir):
    return [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]


def kinds(run_dir):
    return [event["kind"] for event in events(run_dir)]


def scores(run_dir):
    return {event["name"]: event["value"] for event in events(run_dir) if event["kind"] == "score"}


def adapter(run_dir):
    return load_file(run_dir / "model" / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def uninterrupted(attempt, recipe, tmp_path_factory):
    """A run of two processes that nothing disturbed."""
    directory = tmp_path_factory.mktemp("two")
    assert attempt(directory, recipe()) == [0, 0]
    return directory


def test_two_processes_come_to_what_one_comes_to_with_twice_the_batch(attempt, recipe, tmp_path):
    """Rows of different lengths, so that a mean over processes would not be the mean over tokens.

    The loss on dev rows is left out: it is a mean over forward passes, which are of fewer rows here.
    """
    fields = {"lora": {"r": 4, "lora_alpha": 8}, "eval_steps": 4, "eval_samples": 8}
    whole = Run(dir=tmp_path / "one", events=EventWriter(_made(tmp_path / "one")), seed=42, name="job")
    run_sft(recipe(1, **fields), whole)
    two = tmp_path / "two"
    assert attempt(two, recipe(**fields)) == [0, 0]
    alone, shared = metrics(whole.dir), metrics(two)
    assert sorted(shared["loss"]) == list(range(1, 9))
    assert (
        shared["tokens"] == alone["tokens"] and shared["dev_accuracy_strict"] == alone["dev_accuracy_strict"]
    )
    assert shared["eval_loss"] == pytest.approx(alone["eval_loss"], rel=0.02)
    for name in NAMES:
        assert shared[name] == pytest.approx(alone[name], abs=1e-5, rel=1e-5), name
    for name, tensor in adapter(whole.dir).items():
        torch.testing.assert_close(adapter(two)[name], tensor, rtol=1e-4, atol=2e-5)
    mine, theirs = scores(two), scores(whole.dir)
    assert {name: mine[name] for name in mine if "seconds" not in name} == {
        name: theirs[name] for name in theirs if "seconds" not in name
    }
    assert json.loads((two / "run.json").read_text())["processes"] == 2


def _made(directory):
    directory.mkdir()
    return directory


def test_one_process_speaks_for_all(uninterrupted):
    assert kinds(uninterrupted).count("started") == kinds(uninterrupted).count("succeeded") == 1
    assert len(metrics(uninterrupted)["loss"]) == kinds(uninterrupted).count("metrics")
    assert {path.name for path in (uninterrupted / "process-1").iterdir()} == {"events.jsonl"}
    checkpoint = uninterrupted / "checkpoints" / "checkpoint-8"
    assert {path.name for path in checkpoint.glob("rng*")} == {"rng_state_0.pth", "rng_state_1.pth"}


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_run_goes_on_to_the_same_numbers_bit_for_bit(attempt, recipe, uninterrupted, tmp_path, rank):
    """With dropout, which each process draws for itself."""
    codes = attempt(tmp_path / "killed", recipe(), f"kill {rank} 6")
    assert (
        codes[rank] == -signal.SIGKILL and codes[1 - rank] != 0
    )  # who is left is told by its broken connection
    assert attempt(tmp_path / "killed", recipe()) == [0, 0]
    again, whole = metrics(tmp_path / "killed"), metrics(uninterrupted)
    assert [one["resume_step"] for one in events(tmp_path / "killed") if one["kind"] == "started"] == [
        None,
        3,
    ]
    assert again == whole
    for name, tensor in adapter(uninterrupted).items():
        assert torch.equal(adapter(tmp_path / "killed")[name], tensor)


def test_a_request_to_stop_that_reaches_one_process_stops_all_at_the_same_step(
    attempt, recipe, uninterrupted, tmp_path
):
    assert attempt(tmp_path / "stopped", recipe(), "stop 1 5") == [75, 75]
    assert kinds(tmp_path / "stopped")[-1] == "stopped"
    assert (tmp_path / "stopped" / "checkpoints" / "checkpoint-5" / "trainer_state.json").exists()
    assert attempt(tmp_path / "stopped", recipe()) == [0, 0]
    assert metrics(tmp_path / "stopped") == metrics(uninterrupted)


@pytest.mark.slow
def test_sharded_training_comes_to_the_same_and_saves_the_whole_model(
    attempt, recipe, uninterrupted, tmp_path
):
    fields = {"lora": None, "learning_rate": 1e-3, "save_steps": 3}
    assert attempt(tmp_path / "ddp", recipe(**fields)) == [0, 0]
    sharded = recipe(distributed="fsdp", **fields)
    assert attempt(tmp_path / "fsdp", sharded, "kill 1 6")[1] == -signal.SIGKILL
    assert attempt(tmp_path / "fsdp", sharded) == [0, 0]
    ours, theirs = metrics(tmp_path / "fsdp"), metrics(tmp_path / "ddp")
    for name in NAMES:
        assert ours[name] == pytest.approx(theirs[name], abs=1e-5, rel=1e-4), name
    saved, reference = (
        load_file(tmp_path / kind / "model" / "model.safetensors") for kind in ("fsdp", "ddp")
    )
    for name, tensor in reference.items():
        torch.testing.assert_close(saved[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_an_error_of_all_processes_is_told_as_it_is_in_one_event(recipe, tmp_path):
    """Through the program that the daemon would start."""
    from types import SimpleNamespace

    body = recipe(drop_long=False, max_length=8)
    (tmp_path / "recipe.yaml").write_text(body.model_dump_json(by_alias=True))
    (tmp_path / "launch.json").write_text(json.dumps({"attempt": 1, "name": "job", "inputs": {}}))
    job = SimpleNamespace(engine="sft", recipe=body.model_dump(mode="json", by_alias=True))
    argv = worker_argv(job, tmp_path)
    assert argv[:4] == [sys.executable, "-P", "-m", "engines.distributed.launcher"]
    done = subprocess.run(argv, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert kinds(tmp_path) == ["started", "failed"]
    assert events(tmp_path)[-1]["error"].startswith("max_length: 32 of 32 rows are longer than 8 tokens")
    assert "drop_long" in events(tmp_path)[-1]["hint"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"distributed": "fsdp", "resources": {"gpus": 1}}, "shares a model among processes"),
        ({"distributed": "fsdp", "eval_steps": 2}, "cannot generate while it trains"),
    ],
)
def test_what_cannot_be_sharded_is_refused(recipe, fields, text):
    with pytest.raises(ValidationError, match=text):
        recipe(**fields)
