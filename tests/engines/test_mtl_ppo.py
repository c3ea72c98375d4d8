"""Whole runs of the engine on `pocket` and the micro suite: what they report, keep, and come to after interruptions."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from engines.events import EventWriter
from engines.mtl_ppo import Recipe, resume_step, run
from engines.recipe.document import read_document
from engines.recipe.errors import RecipeError
from engines.run import Run, StopFlag

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "recipes" / "smoke" / "mtl_ppo.yaml"
DATA = {"train": ["micro_simulation", "micro_logic"], "train_items": 8, "val_items": 4, "train_batch_size": 8}
ARMS = ("pooled", "equal", "pcgrad", "pcgrad_placebo")


def recipe(**fields):
    """The smoke recipe, smaller still: two tasks, two steps an epoch, three epochs."""
    base = read_document(SMOKE).data
    defaults = {"device": "cpu", "data": DATA, "trainer": {"total_epochs": 3, "save_freq": 1}}
    return Recipe.model_validate({**base, **defaults, **fields})


def metrics(events, name):
    return [
        (event["step"], event["values"][name])
        for event in events
        if event["kind"] == "metrics" and name in event["values"]
    ]


def last_of_each_step(events, name):
    return dict(metrics(events, name))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run that nothing disturbed, and its events."""
    directory = tmp_path_factory.mktemp("whole")
    whole = Run(dir=directory, events=EventWriter(directory), seed=42, name="whole")
    run(recipe(), whole)
    return whole, [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]


def test_every_step_reports_what_people_watch(uninterrupted):
    _, events = uninterrupted
    for name in (
        "train_reward_mean",
        "entropy",
        "clip_fraction",
        "ppo_kl",
        "value_loss",
        "grad_norm",
        "zero_advantage",
    ):
        assert [step for step, _ in metrics(events, name)] == [1, 2, 3, 4, 5, 6], name
    for unit in ("simulation", "logic"):
        assert len(metrics(events, f"reward/{unit}")) == 6
        assert metrics(events, f"zero_advantage/{unit}")
    for name in (
        "kl",
        "conflict_rate",
        "conflict_mass",
        "cos_to_mean",
        "split_half/logic",
        "removed_norm/logic",
    ):
        assert {step for step, _ in metrics(events, name)} <= {1, 3, 5}, name  # `stats_every: 2`
    assert metrics(events, "kl")[0] == (1, 0.0)
    assert [step for step, _ in metrics(events, "validation_reward_mean")] == [0, 2, 4, 6]
    assert metrics(events, "validation_reward/micro_logic") and metrics(events, "validation_reward_micro")
    progress = [event for event in events if event["kind"] == "progress"]
    assert (progress[-1]["done"], progress[-1]["total"]) == (6, 6)


def test_the_matrices_of_each_measured_update_are_written(uninterrupted):
    whole, _ = uninterrupted
    lines = [json.loads(line) for line in (whole.dir / "surgery.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 3, 5]
    assert lines[0]["tasks"] == ["simulation", "logic"]
    assert len(lines[0]["cosines"]) == 2 and len(lines[0]["split_half"]) == 2
    table = (whole.dir / "cosines.csv").read_text().splitlines()
    assert table[0] == "step,row,column,cosine,corrected" and len(table) == 5
    assert table[1].startswith("5,simulation,simulation,1.0")


def test_every_checkpoint_and_the_model_are_policies_that_anybody_can_load(uninterrupted):
    from engines.modeling.loading import load_model, load_tokenizer
    from engines.recipe.blocks import ModelBlock

    whole, events = uninterrupted
    names = [event["path"] for event in events if event["kind"] == "checkpoint"]
    assert {
        "checkpoints/epoch_0001",
        "checkpoints/epoch_0003",
        "checkpoints/best",
        "checkpoints/final",
    } <= set(names)
    ids = torch.tensor([[5, 6, 7]])
    block = ModelBlock.model_validate({"from": "mtl"})
    logits = {}
    for name in ("model", "checkpoints/final/policy", "checkpoints/epoch_0001/policy"):
        found = Run(
            dir=whole.dir, events=whole.events, seed=1, inputs={"mtl": _as_job(whole.dir / name, whole.dir)}
        )
        tokenizer = load_tokenizer(block, found)
        model = load_model(block, found, tokenizer=tokenizer, device=torch.device("cpu"))
        logits[name] = model(input_ids=ids).logits
        lineage = json.loads((whole.dir / name / "lineage.json").read_text())
        assert lineage[-1]["parent"] == "pocket"
    assert torch.equal(logits["model"], logits["checkpoints/final/policy"])
    assert not torch.equal(logits["model"], logits["checkpoints/epoch_0001/policy"])


def _as_job(policy, place):
    """A directory that has this policy as its `model`."""
    job = place / f"as-job-{policy.parent.name}-{policy.name}"
    job.mkdir(exist_ok=True)
    if not (job / "model").exists():
        (job / "model").symlink_to(policy)
    return job


def test_the_record_says_what_the_run_was(uninterrupted):
    whole, _ = uninterrupted
    record = json.loads((whole.dir / "run.json").read_text())
    assert record["units"] == {"simulation": 8, "logic": 8} and record["steps"] == 6 and record["epochs"] == 3
    assert record["contaminated"] == 0 and record["changed_parameters"] > 0
    assert set(record["best_by_task"]) == {"micro_simulation", "micro_logic"}


@pytest.mark.parametrize("batch", [5, 9])
def test_a_run_that_was_killed_goes_on_to_the_same_numbers_bit_for_bit(
    uninterrupted, kill_at, tmp_path, batch
):
    """Batch 1 is the validation before training; then two steps and a validation an epoch."""
    whole, events = uninterrupted
    directory = tmp_path / "killed"
    assert kill_at(directory, "mtl_ppo", recipe(), f"batch {batch}") == -signal.SIGKILL
    attempt = Run(dir=directory, events=EventWriter(directory), seed=42, name="whole", attempt=2)
    assert resume_step(attempt) == {5: 2, 9: 4}[batch]
    run(recipe(), attempt)
    again = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    for name in (
        "reward",
        "grad_norm",
        "value_loss",
        "entropy",
        "tokens",
        "validation_reward_mean",
        "conflict_mass",
    ):
        assert last_of_each_step(again, name) == last_of_each_step(events, name), name
    for name in ("model/adapter_model.safetensors", "checkpoints/final/weights.safetensors", "surgery.jsonl"):
        assert (directory / name).read_bytes() == (whole.dir / name).read_bytes(), name


def test_a_stop_request_leaves_a_checkpoint_to_go_on_from_to_the_same_numbers(
    uninterrupted, make_run, read_events
):
    whole, _ = uninterrupted
    attempt = make_run("stopped", stop=StopFlag(raised=True))
    run(recipe(), attempt)
    assert attempt.stopped_early and not attempt.model.exists()
    assert resume_step(attempt) == 1
    attempt.stop_requested = False
    run(recipe(), attempt)
    weights = "checkpoints/final/weights.safetensors"
    assert (attempt.dir / weights).read_bytes() == (whole.dir / weights).read_bytes()


def test_only_the_newest_checkpoints_are_kept_after_a_resume_too(make_run):
    attempt = make_run(stop=StopFlag(raised=True))
    trainer = {"total_epochs": 3, "save_freq": 1, "save_unit": "steps", "max_actor_ckpt_to_keep": 2}
    run(recipe(trainer=trainer), attempt)
    attempt.stop_requested = False
    run(recipe(trainer=trainer), attempt)
    names = {path.name for path in attempt.checkpoints.iterdir() if path.is_dir()}
    assert names == {"step_000005", "step_000006", "start", "best", "final", "preempt"}


def test_it_stops_when_validations_no_longer_improve_and_leaves_the_best(make_run, read_events):
    attempt = make_run()
    trainer = {
        "total_epochs": 9,
        "early_stopping_min_epochs": 2,
        "early_stopping_patience": 2,
        "early_stopping_min_delta": 1.0,  # nothing can be that much better than the first
        "save_model": "best",
    }
    run(recipe(trainer=trainer), attempt)
    events = read_events(attempt)
    assert [step for step, _ in metrics(events, "validation_reward_mean")] == [0, 2, 4]
    assert [
        event["text"] for event in events if event["kind"] == "message" and "stopped early" in event["text"]
    ]
    assert json.loads((attempt.dir / "run.json").read_text())["best_epoch"] == 0
    # The best was the model that it started from: an adapter that does nothing.
    adapter = load_file(attempt.model / "adapter_model.safetensors")
    assert not any(tensor.any() for name, tensor in adapter.items() if "lora_B" in name)
    run(recipe(trainer=trainer), attempt)  # a retry of a job that is over trains no further
    assert [step for step, _ in metrics(read_events(attempt), "train_reward_mean")] == [1, 2, 3, 4]


def test_a_run_whose_validation_no_grader_can_judge_ends_with_its_last_policy_and_says_so(
    make_run, read_events, monkeypatch
):
    from dataclasses import replace

    from engines.suite import catalog

    def fails(item, text, sandbox):
        raise RuntimeError("broken")

    monkeypatch.setitem(catalog.SUITE, "micro_math", replace(catalog.SUITE["micro_math"], grade=fails))
    attempt = make_run()
    trainer = {
        "total_epochs": 3,
        "early_stopping_min_epochs": 1,
        "early_stopping_patience": 1,
        "save_model": "best",
    }
    run(recipe(data={**DATA, "val": ["micro_math"]}, trainer=trainer), attempt)
    texts = [event["text"] for event in read_events(attempt) if event["kind"] == "message"]
    assert any("stopped early after epoch 1: no validation gave a value" in text for text in texts)
    assert any("the last policy is left" in text for text in texts)
    assert (attempt.model / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize("method", ["pooled", "equal", "gradvac", "pcgrad_placebo"])
def test_the_arms_of_a_comparison_ask_the_same_and_sample_the_same_at_first(
    uninterrupted, make_run, read_events, method
):
    _, events = uninterrupted
    attempt = make_run(method)
    run(recipe(mtl={"method": method, "stats_every": 2}, trainer={"total_epochs": 1}), attempt)
    found = read_events(attempt)
    for name in ("train_reward_mean", "entropy", "tokens"):
        assert metrics(found, name)[0] == metrics(events, name)[0]
    assert metrics(found, "validation_reward_mean")[0] == metrics(events, "validation_reward_mean")[0]
    assert metrics(found, "conflict_rate")


@pytest.mark.parametrize(
    "fields",
    [
        {"lora": None, "actor": {"optim": {"lr": 1e-3}}, "critic": {"optim": {"lr": 1e-3}}},
        {
            "algorithm": {"adv_estimator": "grpo"},
            "critic": {},
            "actor": {"use_kl_loss": True, "optim": {"lr": 1e-3}},
        },
        {"trainer": {"total_epochs": 1, "gradient_checkpointing": True}},
        {"mtl": {"task_unit": "task", "granularity": "module", "ensure_all_tasks_per_step": False}},
        {"critic": {"mode": "shared", "heads": "per_task", "critic_warmup": 1, "optim": {"lr": 1e-3}}},
    ],
    ids=["all-weights", "without-critic", "checkpointing", "modules", "shared-trunk"],
)
def test_the_other_ways_to_run_it_train_too(make_run, fields):
    attempt = make_run()
    run(recipe(**{"trainer": {"total_epochs": 1}, **fields}), attempt)
    assert json.loads((attempt.dir / "run.json").read_text())["steps"] == 2
    assert (attempt.model / "config.json").exists() or (attempt.model / "adapter_config.json").exists()


def test_it_learns(make_run, read_events):
    """`odd` alone, which the untrained model cannot even write the answer of, by what sampling finds by chance."""
    attempt = make_run()
    fields = {
        "lora": None,
        "data": {"train": ["micro_logic"], "train_items": 64, "val_items": 16, "train_batch_size": 16},
        "rollout": {"n": 8, "max_response_length": 2},
        "reward": {"lenient": True},
        "actor": {"optim": {"lr": 1e-3}, "ppo_mini_batch_size": 8},
        "critic": {"optim": {"lr": 1e-3}},
        "mtl": {"stats_every": 0},
        "trainer": {"total_epochs": 4, "test_freq": 0, "early_stopping": False},
    }
    run(recipe(**fields), attempt)
    rewards = [value for _, value in metrics(read_events(attempt), "train_reward_mean")]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.15


def test_recipes_that_cannot_mean_what_they_say_are_refused(make_run):
    with pytest.raises(ValidationError, match="needs `lora`"):
        recipe(lora=None, critic={"mode": "adapter"})
    with pytest.raises(ValidationError, match="ratio to itself is not 1"):
        recipe(lora={"lora_dropout": 0.1})
    with pytest.raises(ValidationError, match="never validates"):
        recipe(trainer={"test_freq": 0})
    with pytest.raises(ValidationError, match="Extra inputs"):
        recipe(trainer={"early_stoping_patience": 3})
    with pytest.raises(ValidationError, match="needs `sampling: temperature`"):
        recipe(mtl={"temperature": 2.0})
    with pytest.raises(RecipeError, match="questions a step for 6 tasks"):
        run(recipe(data={"train_items": 4, "val_items": 2, "train_batch_size": 4}), make_run("few"))
    with pytest.raises(ValidationError, match="micro_poetry"):
        recipe(data={"train": ["micro_poetry"]})
    with pytest.raises(RecipeError, match="no question of simulation"):
        run(recipe(rollout={"max_prompt_length": 2}), make_run("long"))


def test_training_on_what_is_validated_is_refused_unless_it_is_said(make_run, tmp_path, read_events):
    path = tmp_path / "copy.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"copy {n}", "answer": str(n)}) + "\n" for n in range(20)))
    files = {"train_files": {"micro_simulation": str(path)}, "val_files": {"micro_simulation": str(path)}}
    data = {"train": ["micro_simulation"], "train_batch_size": 4, "val_items": 4, **files}
    with pytest.raises(RecipeError, match="4 of 4 evaluated questions are also trained on"):
        run(recipe(data=data), make_run("refused"))
    attempt = make_run("allowed")
    run(recipe(data={**data, "allow_contamination": True}, trainer={"total_epochs": 1}), attempt)
    warnings = [event["text"] for event in read_events(attempt) if event["kind"] == "message"]
    assert "4 validation questions are also trained on" in warnings
    split = make_run(
        "split"
    )  # without a file of its own, validation takes a tenth that training then leaves out
    run(recipe(data={**data, "val_files": {}}, trainer={"total_epochs": 1}), split)
    assert json.loads((split.dir / "run.json").read_text())["contaminated"] == 0


def _two_alike(whole, events, directory):
    """A run of two processes in `directory` came to what the one came to."""
    found = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    assert metrics(found, "tokens") == metrics(events, "tokens")
    for name in ("train_reward_mean", "grad_norm", "value_loss", "entropy", "validation_reward_mean"):
        mine, theirs = metrics(found, name), metrics(events, name)
        assert [value for _, value in mine] == pytest.approx(
            [value for _, value in theirs], rel=1e-4, abs=1e-5
        ), name
    ours, both = (
        load_file(place / "checkpoints/final/weights.safetensors") for place in (whole.dir, directory)
    )
    assert max(float((ours[name] - both[name]).abs().max()) for name in ours) < 1e-4
    assert json.loads((directory / "run.json").read_text())["processes"] == 2
    assert (directory / "process-1" / "events.jsonl").exists()


def _prepared(directory, body):
    """A run directory as the daemon leaves it for a worker."""
    directory.mkdir()
    (directory / "recipe.yaml").write_text(body.model_dump_json(by_alias=True))
    (directory / "launch.json").write_text(json.dumps({"attempt": 1, "name": "two", "inputs": {}}))
    return directory


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_two_processes_under_accelerate_come_to_what_one_comes_to(uninterrupted, tmp_path):
    directory = _prepared(tmp_path / "two", recipe())
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--main_process_port", "0"]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "-m", "engines", str(directory)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    _two_alike(*uninterrupted, directory)


def test_two_processes_of_our_launcher_come_to_what_one_comes_to(uninterrupted, tmp_path):
    body = recipe(resources={"gpus": 0, "processes": 2})
    directory = _prepared(tmp_path / "two", body)
    command = [sys.executable, "-P", "-m", "engines.distributed.launcher", str(directory), "2"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    _two_alike(*uninterrupted, directory)


def test_vllm_and_several_processes_are_refused_together():
    with pytest.raises(ValidationError, match="takes the connections between the 2 processes"):
        recipe(resources={"gpus": 2}, rollout={"use_vllm": True})
