import json
import os
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from engines.events import EventWriter
from engines.grpo import Recipe, run
from engines.modeling.loading import load_tokenizer
from engines.prompts.rendering import render_prompt, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.sft import Recipe as SftRecipe
from engines.sft import run as run_sft
from engines.tasks.loading import training_examples
from engines.training.rollouts import Rollouts

MODEL = {"model": {"from": "prep"}, "task": "pocket-math", "prompt": {"system": ""}, "device": "cpu"}


def recipe(**fields):
    return Recipe.model_validate(
        {
            "engine": "grpo",
            **MODEL,
            "lora": {"r": 16, "lora_alpha": 32},
            "reward": "legacy_unsloth_v1",
            "train_samples": 8,
            "num_train_epochs": 2,
            "num_generations": 2,
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 2,
            "max_completion_length": 48,
            "learning_rate": 1e-3,
            "warmup_steps": 0,
            "save_steps": 3,
            **fields,
        }
    )


def metrics(events, name):
    return {
        event["step"]: event["values"][name]
        for event in events
        if event["kind"] == "metrics" and name in event["values"]
    }


def scores(events):
    return {event["name"]: event["value"] for event in events if event["kind"] == "score"}


def messages(events):
    return [event["text"] for event in events if event["kind"] == "message"]


@pytest.fixture(scope="module")
def prep(tmp_path_factory):
    """The run directory of `pocket` after a few rows: it knows the format, and some answers."""
    directory = tmp_path_factory.mktemp("prep")
    body = {
        "engine": "sft",
        "model": {"base": "pocket"},
        "task": "pocket-math",
        "prompt": {"system": ""},
        "device": "cpu",
        "lora": {"r": 16, "lora_alpha": 32},
        "train_samples": 128,
        "num_train_epochs": 4,
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 1,
        "learning_rate": 5e-3,
    }
    run_sft(SftRecipe.model_validate(body), Run(dir=directory, events=EventWriter(directory), seed=1))
    return directory


@pytest.fixture
def grpo_run(make_run, prep):
    return lambda name="run": make_run(name, inputs={"prep": prep}, seed=3)


@pytest.fixture(scope="module")
def uninterrupted(prep, tmp_path_factory):
    """A run of four steps that nothing disturbed, and its events."""
    directory = tmp_path_factory.mktemp("whole")
    whole = Run(dir=directory, events=EventWriter(directory), seed=3, name="whole", inputs={"prep": prep})
    run(recipe(), whole)
    events = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    return whole, events


EXACT = ("loss", "learning_rate", "grad_norm", "reward", "entropy", "tokens", "epoch", "live_share", "length")


def test_every_step_is_logged_with_its_reward_groups_and_lengths(uninterrupted):
    _, events = uninterrupted
    for name in (*EXACT, "reward_std", "frac_reward_zero_std", "acc_robust", "format_ok", "clipped_ratio"):
        assert sorted(metrics(events, name)) == [1, 2, 3, 4], name
    for name in ("rewards/check_answer/mean", "rewards/check_answer/std", "clip_ratio", "length/terminated"):
        assert sorted(metrics(events, name)) == [1, 2, 3, 4], name
    assert any(0 < share < 1 for share in metrics(events, "live_share").values())
    assert list(metrics(events, "epoch").values()) == [0.5, 1.0, 1.5, 2.0]


def test_the_budget_is_told_in_prompts_completions_tokens_steps_and_seconds(uninterrupted):
    whole, events = uninterrupted
    budget = scores(events)
    assert budget["budget/prompts"] == budget["budget/prompts_drawn"] == 8
    assert budget["budget/completions"] == 4 * 8 and budget["budget/steps"] == 4
    lengths = metrics(events, "length")
    assert budget["budget/generated_tokens"] == round(sum(8 * mean for mean in lengths.values()))
    assert 0 < budget["budget/trained_tokens"] < budget["budget/generated_tokens"]
    assert budget["budget/seconds"] > 0
    assert json.loads((whole.dir / "run.json").read_text())["budget"]["steps"] == 4


SOURCE = """
import os, signal, sys
from pathlib import Path
import engines.training.callbacks as callbacks
import engines.training.rollouts as rollouts
from engines.events import EventWriter
from engines.grpo import Recipe, run
from engines.modeling.loading import load_tokenizer
from engines.prompts.rendering import render_prompt, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.run import Run
directory, body, prep, where, step = sys.argv[1:]
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def die_in_training(self, args, state, control, **_):
    if state.global_step == int(step):
        die()
def die_while_generating(self, key, prompts, number):
    if key.split()[0] == step:
        self._path.open("a").write('{"key": "torn')
        die()
    return generate(self, key, prompts, number)
def noted(self, key, prompts, number):
    make = die_while_generating if where == "generation" else generate
    made = make(self, key, prompts, number)
    (Path(directory) / "keys").open("a").write(key + "\\n")
    return made
generate = rollouts.Rollouts._generate
rollouts.Rollouts._generate = noted
if where == "training":
    callbacks.StopOnRequest.on_substep_end = die_in_training
inputs = {"prep": Path(prep)}
recipe = Recipe.model_validate_json(Path(body).read_text())
run(recipe, Run(dir=Path(directory), events=EventWriter(Path(directory)), seed=3, name="resumed", inputs=inputs))
"""


def kill(attempt, body, prep, where, step):
    command = [sys.executable, "-c", SOURCE, str(attempt.dir), str(body), str(prep), where, str(step)]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def test_a_killed_run_goes_on_to_the_same_losses_and_generates_nothing_twice(
    uninterrupted, prep, grpo_run, read_events, monkeypatch
):
    whole, events = uninterrupted
    attempt = grpo_run("resumed")
    body = attempt.dir / "body.json"
    body.write_text(recipe().model_dump_json(by_alias=True))
    # In the third step, before any checkpoint; then after that of step 3, while it generates for step 4.
    kill(attempt, body, prep, "training", 2)
    kill(attempt, body, prep, "generation", 6)
    generated = (attempt.dir / "keys").read_text().splitlines()
    original = Rollouts._generate

    def noted(self, key, prompts, number):
        generated.append(key)
        return original(self, key, prompts, number)

    monkeypatch.setattr(Rollouts, "_generate", noted)
    run(recipe(), attempt)
    assert [key.split()[0] for key in generated] == ["0", "2", "4", "6"]
    resumed = read_events(attempt)
    for name in EXACT:
        assert metrics(resumed, name) == metrics(events, name), name
    first, second = scores(resumed), scores(events)
    for name in first.keys() - {"budget/seconds"}:
        assert first[name] == second[name], name
    assert (attempt.model / "adapter_model.safetensors").read_bytes() == (
        whole.model / "adapter_model.safetensors"
    ).read_bytes()


def stop_after(attempt, step):
    """Ask the run to stop when this step is logged; gives back what undoes it."""
    record = attempt.events.metrics

    def recording(at, values):
        record(at, values)
        attempt.stop_requested = attempt.stop_requested or ("loss" in values and at == step)

    def undo():
        attempt.stop_requested, attempt.events.metrics = False, record

    attempt.events.metrics = recording
    return undo


def weights(directory):
    from safetensors.torch import load_file

    return load_file(directory / "adapter_model.safetensors")


def test_the_reference_of_the_kl_term_is_the_incoming_adapter_also_after_a_resume(
    prep, grpo_run, read_events
):
    fields = {"beta": 0.05, "num_train_epochs": 1.5}
    whole, attempt = grpo_run("whole"), grpo_run("resumed")
    run(recipe(**fields), whole)
    undo = stop_after(attempt, 1)
    run(recipe(**fields), attempt)
    assert attempt.stopped_early and attempt.resume_from == attempt.checkpoints / "checkpoint-2"
    assert (attempt.resume_from / "ref").is_dir() and not attempt.model.exists()
    undo()
    run(recipe(**fields), attempt)
    kl = metrics(read_events(whole), "kl")
    assert kl[1] == pytest.approx(0, abs=1e-6) and kl[3] > 1e-6
    for name in (*EXACT, "kl"):
        assert metrics(read_events(attempt), name) == metrics(read_events(whole), name), name
    assert not (whole.model / "ref").exists()
    before, after = weights(prep / "model"), weights(whole.model)
    assert before.keys() == after.keys() and any((before[name] != after[name]).any() for name in before)


def test_a_checkpoint_inside_of_a_generation_batch_is_resumed_without_generating_it_again(
    grpo_run, read_events
):
    """Two optimizer steps for each generation batch, each trained on twice: only every fourth step generates."""
    fields = {"num_iterations": 2, "steps_per_generation": 4, "num_train_epochs": 1, "save_steps": 100}
    whole, attempt = grpo_run("whole"), grpo_run("resumed")
    run(recipe(**fields), whole)
    undo = stop_after(attempt, 2)
    run(recipe(**fields), attempt)
    assert attempt.resume_from == attempt.checkpoints / "checkpoint-3"
    undo()
    run(recipe(**fields), attempt)
    events, resumed = read_events(whole), read_events(attempt)
    assert sorted(metrics(events, "loss")) == [1, 2, 3, 4] and sorted(metrics(events, "reward")) == [1]
    for name in (*EXACT, "clip_ratio"):
        assert metrics(resumed, name) == metrics(events, name), name
    assert scores(resumed)["budget/completions"] == scores(events)["budget/completions"] == 16
    trained = scores(events)["budget/trained_tokens"]
    assert scores(resumed)["budget/trained_tokens"] == trained > scores(events)["budget/generated_tokens"]
    assert not any("no effect" in text for text in messages(events))


def test_a_merged_adapter_is_where_all_weights_start_from_and_what_the_kl_compares_with(
    grpo_run, read_events
):
    attempt = grpo_run()
    fields = {"chain": "merge", "lora": None, "beta": 0.05, "learning_rate": 1e-4, "max_steps": 2}
    run(recipe(**fields, eval_steps=2, eval_samples=4, log_completions=0), attempt)
    assert (attempt.model / "model.safetensors").is_file()
    kl = metrics(read_events(attempt), "kl")
    assert kl[1] == pytest.approx(0, abs=1e-6) and kl[2] > 0
    modes = [line["mode"] for line in json.loads((attempt.model / "lineage.json").read_text())]
    assert modes == ["base", "merge"]
    assert sorted(metrics(read_events(attempt), "dev_accuracy_strict")) == [2]
    assert not (attempt.dir / "debug").exists()


def test_a_run_killed_between_its_last_step_and_its_end_has_nothing_left_to_train(grpo_run, read_events):
    attempt = grpo_run()
    short = recipe(max_steps=1, num_train_epochs=1)
    run(short, attempt)
    first = scores(read_events(attempt))
    shutil.rmtree(attempt.model)
    run(short, attempt)
    assert attempt.model.is_dir() and sorted(metrics(read_events(attempt), "loss")) == [1]
    second = scores(read_events(attempt))
    assert second.pop("budget/seconds") > first.pop("budget/seconds")
    assert second == first


def test_completions_end_at_the_stop_string_and_count_as_ended(uninterrupted):
    whole, events = uninterrupted
    rows = [
        json.loads(line) for line in (whole.dir / "debug" / "rollouts_whole.jsonl").read_text().splitlines()
    ]
    assert {row["step"] for row in rows} == {1, 2, 3, 4}
    ended = [row for row in rows if "</SOLUTION>" in row["completion"]]
    assert ended and all(row["completion"].rstrip(">\n ").endswith("</SOLUTION") for row in ended)
    assert all(share < 0.5 for share in metrics(events, "clipped_ratio").values())


def test_too_few_questions_for_one_generation_batch_are_refused(grpo_run):
    hopeless = {"difficulty": {"samples": 2, "refill": False}, "max_completion_length": 2}
    filtered = grpo_run("filtered")
    with pytest.raises(RecipeError, match="only 0 of 4 questions are left"):
        run(recipe(train_samples=4, **hopeless), filtered)
    assert list((filtered.dir / "cache" / "completions").iterdir())
    with pytest.raises(RecipeError, match="all 8 questions have prompts of more than 3 tokens"):
        run(recipe(max_prompt_length=3), grpo_run("long"))


def test_development_questions_without_room_for_an_answer_are_refused_before_training(grpo_run, prep):
    attempt = grpo_run()
    body = recipe()
    tokenizer, task = load_tokenizer(body.model, attempt), body.task
    asked = [
        render_prompt(tokenizer, PromptSpec(system=""), e.question) for e in training_examples(task, 8, 3)
    ]
    room = max(len(token_ids(tokenizer, prompt)) for prompt in asked)
    fields = {"max_completion_length": 1024 - room, "eval_steps": 1, "eval_samples": 256}
    with pytest.raises(RecipeError, match=r"max_completion_length: .* exceeds the model's context"):
        run(recipe(**fields), attempt)
    assert not (attempt.dir / "rollouts.jsonl").exists()


def test_a_run_in_which_every_group_is_dead_is_ended_or_refused(make_run):
    """The base model knows no format, so all its completions earn nothing."""
    fields = {"model": {"base": "pocket"}, "reward": "verifiable", "max_completion_length": 8, "max_steps": 2}
    with pytest.raises(RecipeError, match="nearly all groups are dead"):
        run(recipe(**fields, health={"logs": 2, "clipped_ratio": None, "no_end": None}), make_run("ended"))
    with pytest.raises(RecipeError, match="in every group all completions earned the same"):
        run(recipe(**fields), make_run("refused"))


def test_a_bfloat16_full_fine_tune_with_a_tiny_rate_is_refused(make_run):
    model = {"base": "pocket", "dtype": "bfloat16"}
    with pytest.raises(RecipeError, match="rounded away"):
        run(recipe(model=model, lora=None, learning_rate=1e-6), make_run())


def test_options_without_effect_are_explained_before_training(make_run, read_events):
    attempt = make_run()
    model = {"base": "no/such/model"}
    with pytest.raises(RecipeError):
        run(recipe(model=model, epsilon_high=0.28), attempt)
    [text] = messages(read_events(attempt))
    assert "no effect: `epsilon_high`" in text


def test_the_learning_rate_defaults_to_what_is_trained():
    assert recipe(learning_rate=None).peak_learning_rate == 1e-5
    assert recipe(learning_rate=None, lora=None).peak_learning_rate == 1e-6


def test_no_steps_at_all_are_refused():
    with pytest.raises(ValueError, match="0 steps train nothing"):
        recipe(max_steps=0)


def test_parts_of_a_reward_that_do_nothing_are_remarked_on():
    [remark] = recipe(reward={"name": "legacy_seed001", "format_anneal": 0.5}).remarks()
    assert "no effect: `reward.format_anneal`" in remark
    penalised = {"name": "verifiable", "missing_end_penalty": 0.1}
    [remark] = recipe(reward=penalised).remarks()
    assert "`reward.missing_end_penalty`" in remark
    assert recipe(reward=penalised, mask_truncated_completions=False).remarks() == []


def test_every_part_of_a_reward_needs_its_weight():
    with pytest.raises(ValueError, match=r"1 weights, but the reward has 4 parts: match_format_exactly, "):
        recipe(reward_weights=[1.0])
    penalised = {"name": "verifiable", "missing_end_penalty": 0.1, "soft_punish_cache": 8}
    assert recipe(reward=penalised, reward_weights=[1, 0.5, 0.5]).reward.parts[1:] == (
        "missing_end",
        "overlong",
    )


@pytest.mark.parametrize(
    "fields", [{"num_train_epochs": 1e300}, {"max_steps": 10**12}, {"max_completion_length": 10**20}]
)
def test_numbers_that_no_run_could_reach_are_refused(fields):
    with pytest.raises(ValueError, match="less than or equal to"):
        recipe(**fields)


def test_there_is_no_way_to_train_on_another_split():
    for fields in ({"split": "test"}, {"task": {"name": "pocket-math", "split": "test"}}):
        with pytest.raises(ValueError, match="split"):
            recipe(**fields)


def test_vllm_without_an_adapter_is_refused_before_training():
    with pytest.raises(ValueError, match="`use_vllm` needs `lora`"):
        recipe(use_vllm=True, lora=None)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_vllm_where_there_is_none_is_an_error_with_a_hint(prep, make_run):
    with pytest.raises(RecipeError, match="use_vllm: vLLM is not installed here"):
        run(recipe(use_vllm=True), make_run(inputs={"prep": prep}))
