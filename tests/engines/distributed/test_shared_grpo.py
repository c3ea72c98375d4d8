"""Reinforcement learning that two processes share: the groups, rewards and gradients of one."""

import json
import runpy
import signal
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from engines.events import EventWriter
from engines.grpo import Recipe
from engines.grpo import run as run_grpo
from engines.run import Run
from engines.training.live_groups import TOKEN_MEAN

HERE = Path(__file__).parent
NAMES = (
    "loss",
    "grad_norm",
    "reward",
    "reward_std",
    "live_share",
    "frac_reward_zero_std",
    "length",
    "tokens",
)


def recipe(processes=2, **fields):
    """The untrained model earns nothing for answers; it learns to end early."""
    body = {
        "engine": "grpo",
        "model": {"base": "pocket"},
        "task": "pocket-math",
        "prompt": {"system": ""},
        "device": "cpu",
        "lora": {"r": 4, "lora_alpha": 8},
        "reward": {"name": "verifiable", "missing_end_penalty": 1},
        "train_samples": 16,
        "num_generations": 4,
        "per_device_train_batch_size": 8 // processes,
        "gradient_accumulation_steps": 2,
        "steps_per_generation": 4,  # a checkpoint after step 3 stands within a generation batch
        "max_completion_length": 8,
        "mask_truncated_completions": False,
        "learning_rate": 1e-4,
        "warmup_steps": 0,
        "save_steps": 3,
        "log_completions": 8,
        "resources": {"gpus": 0, "processes": processes},
    }
    return Recipe.model_validate(body | fields)


def events(run_dir):
    return [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]


def metrics(run_dir):
    found = {name: {} for name in NAMES}
    for event in events(run_dir):
        for name, value in event.get("values", {}).items():
            if name in found:
                found[name][event["step"]] = value
    return found


def scores(run_dir):
    return {
        event["name"]: event["value"]
        for event in events(run_dir)
        if event["kind"] == "score" and "seconds" not in event["name"]
    }


def rollouts(run_dir):
    [path] = (run_dir / "debug").glob("rollouts_*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def uninterrupted(attempt, tmp_path_factory):
    directory = tmp_path_factory.mktemp("two")
    assert attempt(directory, recipe()) == [0, 0]
    return directory


@pytest.mark.slow
def test_two_processes_generate_what_one_generates_with_twice_the_batch(uninterrupted, tmp_path):
    whole = Run(dir=tmp_path, events=EventWriter(tmp_path), seed=42, name="job")
    run_grpo(recipe(1), whole)
    alone, shared = metrics(tmp_path), metrics(uninterrupted)
    assert sorted(shared["loss"]) == [1, 2, 3, 4]
    assert any(0 < share < 1 for share in shared["live_share"].values())
    for name in ("reward", "frac_reward_zero_std", "length", "tokens", "live_share"):
        assert shared[name] == pytest.approx(alone[name], rel=1e-6), name
    # A step trains on half of a generation batch, and which half is drawn by each process: whole batches are alike.
    assert sum(shared["loss"].values()) == pytest.approx(sum(alone["loss"].values()), abs=0.05)
    assert scores(uninterrupted) == scores(tmp_path)
    texts = [
        [row["completion"] for row in rollouts(place) if row["step"] == 1]
        for place in (tmp_path, uninterrupted)
    ]
    assert texts[0] == texts[1] and len(texts[0]) == 8


def test_two_processes_come_to_what_one_comes_to_with_twice_the_batch(attempt, tmp_path):
    """Where a step trains on all that was generated for it."""
    fields = {"gradient_accumulation_steps": 1, "steps_per_generation": None, "learning_rate": 1e-3}
    (tmp_path / "one").mkdir()
    whole = Run(dir=tmp_path / "one", events=EventWriter(tmp_path / "one"), seed=42, name="job")
    run_grpo(recipe(1, per_device_train_batch_size=16, **fields), whole)
    assert attempt(tmp_path / "two", recipe(per_device_train_batch_size=8, **fields)) == [0, 0]
    alone, shared = metrics(tmp_path / "one"), metrics(tmp_path / "two")
    for name in NAMES:
        assert shared[name] == pytest.approx(alone[name], rel=1e-3, abs=1e-5), name
    one, two = (
        load_file(tmp_path / place / "model" / "adapter_model.safetensors") for place in ("one", "two")
    )
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_run_goes_on_to_the_same_numbers_bit_for_bit(attempt, uninterrupted, tmp_path, rank):
    """Within a generation batch, of which each process has its own rows in the checkpoint."""
    assert attempt(tmp_path, recipe(), f"kill {rank} 4")[rank] == -signal.SIGKILL
    kept = tmp_path / "checkpoints" / "checkpoint-3"
    assert {path.name for path in kept.glob("generation_batch*")} == {
        "generation_batch.pt",
        "generation_batch_1.pt",
    }
    assert attempt(tmp_path, recipe()) == [0, 0]
    assert [one["resume_step"] for one in events(tmp_path) if one["kind"] == "started"] == [None, 3]
    assert metrics(tmp_path) == metrics(uninterrupted)
    assert scores(tmp_path) == scores(uninterrupted)
    ours, theirs = (place / "model" / "adapter_model.safetensors" for place in (tmp_path, uninterrupted))
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.slow
def test_what_was_generated_before_a_kill_is_not_generated_again(attempt, uninterrupted, tmp_path):
    fields = {"save_steps": 100}
    attempt(tmp_path, recipe(**fields), "kill 1 2")
    [journalled] = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert len(journalled["completions"]) == 32  # of both processes
    assert attempt(tmp_path, recipe(**fields)) == [0, 0]
    assert metrics(tmp_path) == metrics(uninterrupted) and scores(tmp_path) == scores(uninterrupted)


@pytest.mark.slow
def test_the_difficulty_filter_is_shared_and_finds_the_same(attempt, tmp_path):
    fields = {
        "difficulty": {"samples": 2, "min_solve_rate": 0.0, "max_solve_rate": 1.0, "refill": False},
        "train_samples": 16,
    }
    codes = attempt(tmp_path / "two", recipe(**fields))
    (tmp_path / "one").mkdir()
    whole = Run(dir=tmp_path / "one", events=EventWriter(tmp_path / "one"), seed=42, name="job")
    with pytest.raises(Exception, match="questions are left") as told:
        run_grpo(recipe(1, **fields), whole)
    assert codes == [1, 1] and events(tmp_path / "two")[-1]["error"] == told.value.message
    one, two = ((tmp_path / place / "difficulty.jsonl").read_text() for place in ("one", "two"))
    assert one == two and scores(tmp_path / "one") == scores(tmp_path / "two")


@pytest.mark.parametrize("loss", ["dapo", pytest.param("grpo", marks=pytest.mark.slow)])
def test_a_dead_group_of_any_process_does_not_dilute_the_gradient(in_processes, tiny_model, tmp_path, loss):
    """TRL's gradient is exactly the live share of all processes times ours. The second process has dead groups alone."""
    bench = runpy.run_path(str(HERE.parent / "training" / "test_live_groups.py"))
    assert in_processes(HERE / "gradient_worker.py", str(tmp_path), str(tiny_model), loss) == [0, 0]
    live, dead, tokens = bench["LIVE"][0], bench["DEAD"], {}
    for prompt, lengths in bench["LENGTHS"].items():
        tokens[prompt] = sum(lengths) + 2
    everything = tokens[live] + 2 * tokens[dead[0]] + tokens[dead[1]]
    share = tokens[live] / everything if loss in TOKEN_MEAN else 0.25
    gradients = []
    for rank in range(2):
        theirs, ours, logged = torch.load(tmp_path / f"{rank}.pt")
        assert logged == pytest.approx(share)
        assert max(gradient.abs().max() for gradient in ours.values()) > 1e-4
        for name, gradient in ours.items():
            torch.testing.assert_close(theirs[name], gradient * share, rtol=1e-3, atol=1e-6)
        gradients.append(ours)
    assert all(torch.equal(gradient, gradients[1][name]) for name, gradient in gradients[0].items())


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"per_device_train_batch_size": 3, "steps_per_generation": 2}, "6 completions in each process"),
        ({"train_samples": 4}, "less than the 8 questions of one generation batch"),
        ({"use_vllm": True}, "needs `resources: {gpus: 1}`"),
        ({"distributed": "fsdp"}, "ddp"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_it_is_queued(fields, text):
    with pytest.raises(ValidationError, match=text):
        recipe(**fields)
