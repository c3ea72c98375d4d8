import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engines.recipe.errors import RecipeError
from engines.sft import Recipe, run


def recipe(tiny_model, sums, **fields):
    return Recipe.model_validate(
        {
            "engine": "sft",
            "model": {"base": str(tiny_model)},
            "lora": {"r": 4, "lora_alpha": 8},
            "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 10},
            "train_samples": 16,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "learning_rate": 5e-3,
            "warmup_steps": 0,
            "device": "cpu",
            **fields,
        }
    )


def metrics(events, name):
    return {
        event["step"]: event["values"][name]
        for event in events
        if event["kind"] == "metrics" and name in event["values"]
    }


@pytest.fixture(scope="module")
def uninterrupted(tiny_model, sums, tmp_path_factory):
    """Losses, tokens and adapter of a run that nothing disturbed."""
    from engines.events import EventWriter
    from engines.run import Run

    directory = tmp_path_factory.mktemp("whole")
    whole = Run(dir=directory, events=EventWriter(directory), seed=42, name="whole")
    run(recipe(tiny_model, sums), whole)
    events = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    return whole, events


def test_every_step_is_logged_with_its_loss_rate_and_tokens(uninterrupted):
    _, events = uninterrupted
    loss = metrics(events, "loss")
    assert sorted(loss) == list(range(1, 9))
    assert loss[8] < loss[1]
    for name in (
        "learning_rate",
        "grad_norm",
        "mean_token_accuracy",
        "entropy",
        "epoch",
        "tokens_per_second",
    ):
        assert sorted(metrics(events, name)) == list(range(1, 9))
    tokens = list(metrics(events, "tokens").values())
    assert tokens == sorted(tokens) and tokens[0] > 0


def test_progress_ends_at_the_total_and_artifacts_are_named(uninterrupted):
    whole, events = uninterrupted
    progress = [(event["done"], event["total"]) for event in events if event["kind"] == "progress"]
    assert progress[0] == (0, 8) and progress[-1] == (8, 8)
    artifacts = {event["name"]: event["path"] for event in events if event["kind"] == "artifact"}
    assert artifacts["model"] == "model"
    assert all((whole.dir / path).exists() for path in artifacts.values())
    checkpoints = [event["step"] for event in events if event["kind"] == "checkpoint"]
    assert checkpoints == [4, 8]
    assert all((whole.dir / event["path"]).is_dir() for event in events if event["kind"] == "checkpoint")


def test_the_record_says_what_was_trained_on_what(uninterrupted):
    whole, events = uninterrupted
    record = json.loads((whole.dir / "run.json").read_text())
    assert record["rows"] == 16 and record["steps"] == 8
    assert record["tokens"] == metrics(events, "tokens")[8]
    assert record["changed_parameters"] > 0.9
    assert record["recipe"]["lora"]["r"] == 4 and record["versions"]["trl"]
    assert record["peak_memory_bytes"] > 0 and len(record["data_hash"]) == 16
    assert [line["mode"] for line in record["lineage"]] == ["base"]
    shown = (whole.dir / "debug" / "full_whole_train.txt").read_text()
    assert "<SOLUTION>" in shown.split("--- trained on")[1]


def test_the_budget_counts_rows_steps_and_the_tokens_that_bear_a_loss(uninterrupted):
    _, events = uninterrupted
    budget = {event["name"]: event["value"] for event in events if event["kind"] == "score"}
    assert budget["budget/prompts"] == 16 and budget["budget/steps"] == 8
    assert budget["budget/completions"] == budget["budget/generated_tokens"] == 0
    assert 0 < budget["budget/trained_tokens"] < metrics(events, "tokens")[8]
    assert budget["budget/seconds"] > 0


def test_a_resumed_run_repeats_the_uninterrupted_one_exactly(
    tiny_model, sums, uninterrupted, make_run, read_events
):
    """A worker that is killed with SIGKILL in the middle of a step, and a second attempt in a new process."""
    whole, events = uninterrupted
    attempt = make_run("resumed")
    source = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from transformers import TrainerCallback\n"
        "import engines.training.callbacks as callbacks\n"
        "from engines.events import EventWriter\n"
        "from engines.run import Run\n"
        "from engines.sft import Recipe, run\n"
        "def die(self, args, state, control, **_):\n"
        "    if state.global_step == int(sys.argv[3]):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "callbacks.StopOnRequest.on_substep_end = die\n"
        "directory = Path(sys.argv[1])\n"
        "recipe = Recipe.model_validate_json(Path(sys.argv[2]).read_text())\n"
        "run(recipe, Run(dir=directory, events=EventWriter(directory), seed=42, name='resumed'))\n"
    )
    body = attempt.dir / "body.json"
    body.write_text(recipe(tiny_model, sums, save_steps=3).model_dump_json(by_alias=True))
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    for die_at in (5, 7):
        command = [sys.executable, "-c", source, str(attempt.dir), str(body), str(die_at)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    run(recipe(tiny_model, sums, save_steps=3), attempt)
    resumed = read_events(attempt)
    for name in ("loss", "learning_rate", "grad_norm", "entropy", "tokens", "epoch"):
        assert metrics(resumed, name) == metrics(events, name)
    assert (attempt.model / "adapter_model.safetensors").read_bytes() == (
        whole.model / "adapter_model.safetensors"
    ).read_bytes()


def test_a_stop_request_ends_at_the_next_step_with_a_checkpoint_and_can_go_on(
    tiny_model, sums, uninterrupted, make_run, read_events
):
    _, events = uninterrupted
    attempt = make_run("stopped")
    record = attempt.events.metrics

    def stop_at_step_2(step, values):
        record(step, values)
        attempt.stop_requested = attempt.stop_requested or step == 2

    attempt.events.metrics = stop_at_step_2
    run(recipe(tiny_model, sums), attempt)
    assert not attempt.model.exists()
    assert attempt.resume_from == attempt.checkpoints / "checkpoint-3"
    assert [event["step"] for event in read_events(attempt) if event["kind"] == "checkpoint"] == [3]
    attempt.stop_requested, attempt.events.metrics = False, record
    run(recipe(tiny_model, sums), attempt)
    assert metrics(read_events(attempt), "loss") == metrics(events, "loss")
    assert (attempt.model / "adapter_config.json").is_file()


def test_a_stop_request_at_the_last_step_comes_too_late(tiny_model, sums, make_run):
    attempt = make_run("late")
    attempt.stop_requested = True
    run(recipe(tiny_model, sums, max_steps=1), attempt)
    assert not attempt.stopped_early
    assert attempt.model.is_dir()


def test_a_run_killed_between_its_last_step_and_its_end_has_nothing_left_to_train(
    tiny_model, sums, make_run, read_events
):
    attempt = make_run("unsaved")
    short = recipe(tiny_model, sums, max_steps=1)
    run(short, attempt)
    shutil.rmtree(attempt.model)
    run(short, attempt)
    assert sorted(metrics(read_events(attempt), "loss")) == [1]
    assert attempt.model.is_dir()


def test_logging_rarely_still_resumes_to_the_same_losses(tiny_model, sums, make_run, read_events):
    fields = {"logging_steps": 3, "save_steps": 2, "max_steps": 6}
    whole, attempt = make_run("whole"), make_run("resumed")
    run(recipe(tiny_model, sums, **fields), whole)
    original = attempt.events.emit

    def stop_after_progress(kind, **values):
        original(kind, **values)
        attempt.stop_requested = attempt.stop_requested or (kind == "checkpoint" and values["step"] == 2)

    attempt.events.emit = stop_after_progress
    run(recipe(tiny_model, sums, **fields), attempt)
    attempt.stop_requested, attempt.events.emit = False, original
    run(recipe(tiny_model, sums, **fields), attempt)
    for name in ("loss", "tokens"):
        assert metrics(read_events(attempt), name) == metrics(read_events(whole), name)


def test_full_goes_on_from_prep_and_all_weights_can_be_trained(tiny_model, sums, make_run, uninterrupted):
    whole, _ = uninterrupted
    chained = {"model": {"from": "prep"}, "train_samples": 4, "num_train_epochs": 1}
    continued = make_run("continued", inputs={"prep": whole.dir})
    run(recipe(tiny_model, sums, **chained), continued)
    modes = [line["mode"] for line in json.loads((continued.model / "lineage.json").read_text())]
    assert modes == ["base", "continue"]
    merged = make_run("merged", inputs={"prep": whole.dir})
    run(recipe(tiny_model, sums, **chained, chain="merge", lora={"r": 2}), merged)
    modes = [line["mode"] for line in json.loads((merged.model / "lineage.json").read_text())]
    assert modes == ["base", "merge", "base"]
    full = make_run("full")
    run(recipe(tiny_model, sums, lora=None, train_samples=4, num_train_epochs=1, learning_rate=1e-3), full)
    assert (full.model / "model.safetensors").is_file()


def test_dev_loss_and_greedy_accuracy_are_measured_when_asked_and_change_no_training(
    tiny_model, sums, make_run, read_events, uninterrupted
):
    _, events = uninterrupted
    measured = make_run()
    run(recipe(tiny_model, sums, eval_steps=4, eval_samples=3, eval_max_new_tokens=8), measured)
    written = read_events(measured)
    for name in ("eval_loss", "dev_accuracy_strict", "dev_accuracy_robust"):
        assert sorted(metrics(written, name)) == [4, 8]
    assert metrics(written, "loss") == metrics(events, "loss")


def test_packed_rows_do_not_see_each_other(tiny_model, sums, make_run, read_events):
    """All rows in one step, packed and not: the same tokens, and so the same loss and gradient."""
    one_step = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 1, "num_train_epochs": 1}
    packed, apart = make_run("packed"), make_run("apart")
    run(recipe(tiny_model, sums, **one_step, packing=True, max_length=512), packed)
    run(recipe(tiny_model, sums, **one_step), apart)
    for name in ("loss", "grad_norm", "mean_token_accuracy", "tokens"):
        [together], [separately] = (
            metrics(read_events(packed), name).values(),
            metrics(read_events(apart), name).values(),
        )
        assert together == pytest.approx(separately, rel=1e-4)


def test_traces_replace_the_tasks_solutions(tiny_model, sums, make_run, tmp_path):
    traces = tmp_path / "traces.jsonl"
    rows = [
        {"question": f"What is {n} + 1?", "answer": f"So {n} + 1 = {n + 1}.\n\n#### {n + 1}"}
        for n in range(6)
    ]
    traces.write_text("".join(json.dumps(row) + "\n" for row in rows))
    attempt = make_run()
    fields = {"traces": str(traces), "train_samples": 4, "num_train_epochs": 1, "stage": "prep"}
    run(recipe(tiny_model, sums, **fields), attempt)
    assert json.loads((attempt.dir / "run.json").read_text())["rows"] == 4
    shown = (attempt.dir / "debug" / "prep_run_train.txt").read_text()
    assert "What is" in shown and "Tom" not in shown
    with pytest.raises(RecipeError, match="has 6 traces"):
        run(recipe(tiny_model, sums, **{**fields, "train_samples": 7}), make_run("more"))


def test_rows_that_are_too_long_are_refused_or_left_out_and_counted(tiny_model, sums, make_run, read_events):
    lengths = {"max_length": 126}  # rows have 124 to 128 tokens
    with pytest.raises(RecipeError, match="of 16 rows are longer than"):
        run(recipe(tiny_model, sums, **lengths), make_run("refused"))
    attempt = make_run("dropped")
    run(recipe(tiny_model, sums, **lengths, drop_long=True, num_train_epochs=1), attempt)
    [message] = [event["text"] for event in read_events(attempt) if event["kind"] == "message"]
    assert message.startswith("left out") and json.loads((attempt.dir / "run.json").read_text())["rows"] < 16


def test_rows_that_were_left_out_or_fill_the_context_do_not_end_a_run_after_its_training(
    tiny_model, sums, make_run, tmp_path
):
    """What was saved is checked with prompts of the rows; the model of the test has 1024 positions."""
    traces = tmp_path / "long.jsonl"
    questions = ["1 " * 1100, "1 " * 970, "1?"]  # beyond the context; with a few positions left; short
    rows = [{"question": text, "answer": "1\n#### 1"} for text in questions]
    traces.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {"traces": str(traces), "train_samples": 3, "max_length": 1024, "drop_long": True}
    attempt = make_run()
    run(recipe(tiny_model, sums, **fields, prompt={"system": ""}, gradient_accumulation_steps=1), attempt)
    assert json.loads((attempt.dir / "run.json").read_text())["rows"] == 2
    shown = (attempt.dir / "debug" / "full_run_train.txt").read_text()
    assert 1024 - 32 < int(re.search(r"longest (\d+)", shown)[1]) <= 1024


def test_development_examples_without_room_for_an_answer_are_refused_before_training(
    tiny_model, sums, make_run, read_events
):
    attempt = make_run()
    with pytest.raises(RecipeError, match="eval_max_new_tokens: 1000 after a prompt"):
        run(recipe(tiny_model, sums, eval_steps=4, eval_samples=3, eval_max_new_tokens=1000), attempt)
    assert not metrics(read_events(attempt), "loss")


def test_development_rows_that_are_all_too_long_are_an_error_with_a_hint(
    tiny_model, sums, make_run, tmp_path
):
    traces = tmp_path / "short.jsonl"
    traces.write_text(json.dumps({"question": "1?", "answer": "1\n#### 1"}) + "\n")
    fields = {"traces": str(traces), "train_samples": 1, "max_length": 110, "eval_steps": 1}
    with pytest.raises(RecipeError, match="no row is as short as 110 tokens"):
        run(recipe(tiny_model, sums, **fields), make_run())


def test_no_steps_at_all_are_refused_rather_than_taken_for_the_epochs(tiny_model, sums):
    with pytest.raises(ValueError, match="0 steps train nothing"):
        recipe(tiny_model, sums, max_steps=0)


def test_a_bfloat16_full_fine_tune_with_a_tiny_rate_is_refused(tiny_model, sums, make_run):
    model = {"base": str(tiny_model), "dtype": "bfloat16"}
    with pytest.raises(RecipeError, match="rounded away"):
        run(recipe(tiny_model, sums, model=model, lora=None, learning_rate=1e-6), make_run())


def test_a_template_without_an_end_of_turn_is_refused(tiny_model, sums, make_run, tmp_path):
    template = tmp_path / "open.jinja"
    template.write_text(
        "{% for m in messages %}<|im_start|>{{ m.role }}<|im_start|>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant<|im_start|>{% endif %}"
    )
    with pytest.raises(RecipeError, match="never learn to stop"):
        run(
            recipe(tiny_model, sums, model={"base": str(tiny_model), "chat_template": str(template)}),
            make_run(),
        )


def test_the_learning_rate_defaults_to_what_is_trained(tiny_model, sums):
    assert recipe(tiny_model, sums, learning_rate=None).peak_learning_rate == 2e-4
    assert recipe(tiny_model, sums, learning_rate=None, lora=None).peak_learning_rate == 2e-5


def test_a_checkpoint_whose_state_was_cut_short_is_passed_over(tiny_model, sums, make_run, read_events):
    attempt = make_run()
    run(recipe(tiny_model, sums, save_steps=2, max_steps=4), attempt)
    (attempt.checkpoints / "checkpoint-4" / "trainer_state.json").write_text('{"global_')
    assert attempt.resume_from == attempt.checkpoints / "checkpoint-2"
    run(recipe(tiny_model, sums, save_steps=2, max_steps=4), attempt)
    assert attempt.resume_from == attempt.checkpoints / "checkpoint-4"


def test_models_with_tied_embeddings_train_with_and_without_an_adapter(tiny_model, sums, make_run, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    config = AutoModelForCausalLM.from_pretrained(tiny_model).config
    config.tie_word_embeddings = True
    LlamaForCausalLM(config).save_pretrained(tmp_path / "tied")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "tied")
    fields = {"model": {"base": str(tmp_path / "tied")}, "train_samples": 4, "num_train_epochs": 1}
    prep = make_run("prep")
    run(recipe(tiny_model, sums, **fields), prep)
    merged = make_run("merged", inputs={"prep": prep.dir})
    run(recipe(tiny_model, sums, **{**fields, "model": {"from": "prep"}}, chain="merge", lora=None), merged)
    assert (merged.model / "model.safetensors").is_file()


@pytest.mark.parametrize("lora", [{"r": 4, "lora_alpha": 8}, None])
def test_what_was_trained_in_mixed_precision_is_saved_as_it_is(tiny_model, sums, make_run, lora):
    attempt = make_run()
    run(recipe(tiny_model, sums, lora=lora, bf16=True, train_samples=8, num_train_epochs=1), attempt)
    assert (attempt.model / "lineage.json").is_file()


def test_gradient_checkpointing_changes_memory_and_not_the_losses(
    tiny_model, sums, make_run, read_events, uninterrupted
):
    _, events = uninterrupted
    attempt = make_run()
    fields = {"gradient_checkpointing": True, "eval_steps": 4, "eval_samples": 2, "eval_max_new_tokens": 4}
    run(recipe(tiny_model, sums, **fields), attempt)
    assert list(metrics(read_events(attempt), "loss").values()) == pytest.approx(
        list(metrics(events, "loss").values()), rel=1e-5
    )


@pytest.mark.parametrize("bf16", [True, False])
def test_an_adapter_on_bfloat16_weights_trains_goes_on_and_is_saved_as_it_is(
    tiny_model, sums, make_run, uninterrupted, bf16
):
    model = {"base": str(tiny_model), "dtype": "bfloat16"}
    fields = {"bf16": bf16, "train_samples": 8, "num_train_epochs": 1}
    prep, full = make_run("prep"), make_run("full", inputs={"prep": make_run("prep").dir})
    run(recipe(tiny_model, sums, **fields, model=model), prep)
    run(recipe(tiny_model, sums, **fields, model={"from": "prep", "dtype": "bfloat16"}), full)
    assert json.loads((full.dir / "run.json").read_text())["changed_parameters"] > 0.9
