import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from engines.events import EventWriter
from engines.pretrain import Recipe, run
from engines.prompts.rendering import render_row, resolve_prefill
from engines.prompts.spec import PromptSpec
from engines.recipe.document import read_document
from engines.recipe.errors import RecipeError
from engines.run import Run, StopFlag
from engines.tasks.loading import load_examples

SMOKE = Path(__file__).parents[2] / "recipes" / "smoke" / "pretrain.yaml"


def recipe(**fields):
    return Recipe.model_validate({**read_document(SMOKE).data, "device": "cpu", **fields})


def metrics(events, name):
    return [
        (event["step"], event["values"][name])
        for event in events
        if event["kind"] == "metrics" and name in event["values"]
    ]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run that nothing disturbed, and its events."""
    directory = tmp_path_factory.mktemp("whole")
    whole = Run(dir=directory, events=EventWriter(directory), seed=42)
    run(recipe(), whole)
    return whole, [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]


def test_the_loss_falls_and_every_step_is_logged(uninterrupted):
    _, events = uninterrupted
    loss = metrics(events, "loss")
    assert [step for step, _ in loss] == list(range(1, 21))
    assert loss[-1][1] < loss[0][1] - 0.5
    for name in ("learning_rate", "grad_norm", "epoch", "tokens", "tokens_per_second"):
        assert len(metrics(events, name)) == 20
    assert [step for step, _ in metrics(events, "eval_loss")] == [10, 20]
    progress = [(event["done"], event["total"]) for event in events if event["kind"] == "progress"]
    assert progress[0] == (0, 20) and progress[-1] == (20, 20)


def test_what_is_saved_loads_as_a_chat_model_that_knows_its_end_and_pad_tokens(uninterrupted):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    whole, events = uninterrupted
    assert [event["path"] for event in events if event["kind"] == "artifact"] == ["model"]
    tokenizer = AutoTokenizer.from_pretrained(whole.model)
    model = AutoModelForCausalLM.from_pretrained(whole.model)
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id != tokenizer.pad_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id
    prompt, completion = render_row(tokenizer, PromptSpec(), load_examples(recipe().task, "dev")[0])
    assert completion.endswith(tokenizer.eos_token) and prompt.startswith("<|system|>You are given")
    assert resolve_prefill(tokenizer, PromptSpec()).prefill == ""


def test_digits_are_single_tokens_tags_are_plain_text_and_text_survives(uninterrupted):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(uninterrupted[0].model)
    text = PromptSpec().completion("12*7=84\n84-5=79", "79") + " Ärger, 100 % <b>"
    tokens = tokenizer.tokenize(text)
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert not [token for token in tokens if len(token.strip("Ġ")) > 1 and any(c.isdigit() for c in token)]
    assert not set(tokens) & set(tokenizer.all_special_tokens)


def test_a_run_that_was_killed_goes_on_to_the_same_numbers(uninterrupted, make_run, read_events):
    whole, events = uninterrupted
    attempt = make_run("killed")
    source = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from engines.events import EventWriter\n"
        "from engines.pretrain import Recipe, run\n"
        "from engines.run import Run\n"
        "class Dying(EventWriter):\n"
        "    def metrics(self, step, values):\n"
        "        super().metrics(step, values)\n"
        "        if step == int(13):\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "directory = Path(sys.argv[1])\n"
        "recipe = Recipe.model_validate_json(Path(sys.argv[2]).read_text())\n"
        "run(recipe, Run(dir=directory, events=Dying(directory), seed=42))\n"
    )
    body = attempt.dir / "body.json"
    body.write_text(recipe(save_steps=5).model_dump_json())
    command = [sys.executable, "-c", source, str(attempt.dir), str(body)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    run(recipe(save_steps=5), attempt)
    resumed = dict(metrics(read_events(attempt), "loss"))
    assert resumed == dict(metrics(events, "loss"))
    weights = "model.safetensors"
    assert (attempt.model / weights).read_bytes() == (whole.model / weights).read_bytes()


def test_a_stop_request_leaves_a_checkpoint_and_no_model(make_run, read_events):
    attempt = make_run("stopped", stop=StopFlag(raised=True))
    run(recipe(), attempt)
    assert attempt.resume_from == attempt.checkpoints / "checkpoint-1"
    assert not attempt.model.exists()
    assert [event["step"] for event in read_events(attempt) if event["kind"] == "checkpoint"] == [1]


def test_only_the_newest_checkpoints_are_kept(make_run):
    attempt = make_run()
    run(recipe(save_steps=3, max_steps=10), attempt)
    assert {path.name for path in attempt.checkpoints.iterdir()} == {"checkpoint-9", "checkpoint-10"}


def test_it_also_learns_the_text_of_gsm8k_files(make_run, read_events, sums):
    attempt = make_run()
    task = {"name": "gsm8k", "path": str(sums), "dev_examples": 10}
    run(recipe(task=task, documents=500, max_steps=6), attempt)
    loss = metrics(read_events(attempt), "loss")
    assert loss[-1][1] < loss[0][1] and (attempt.model / "model.safetensors").exists()


def test_too_little_text_and_an_impossible_shape_are_refused(make_run):
    with pytest.raises(RecipeError, match="fewer than one batch"):
        run(recipe(documents=100, per_device_train_batch_size=100), make_run())
    with pytest.raises(ValidationError, match="multiple of `num_attention_heads`"):
        recipe(architecture={"hidden_size": 30, "num_attention_heads": 4})
