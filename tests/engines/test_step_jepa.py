import json
import signal

import pytest
from pydantic import ValidationError
from safetensors.torch import load_file

from engines.recipe.blocks import TaskBlock
from engines.recipe.errors import RecipeError
from engines.step_jepa import Recipe, run
from engines.tasks.loading import load_examples


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """A directory with GSM8K-like problems of two and three steps, a step a line."""
    directory = tmp_path_factory.mktemp("chains")
    for split, start, count in (("train", 1, 60), ("test", 1000, 12)):
        lines = []
        for n in range(start, start + count):
            more, boxes = n % 7 + 1, n % 5 + 2
            steps = [
                f"He has {n} + {more} = {n + more} apples.",
                f"So {boxes} boxes hold {boxes} * 6 = {boxes * 6}.",
            ]
            if n % 3 == 0:
                steps.append(f"{boxes * 6} + {more} = {boxes * 6 + more}.")
            question = f"Tom has {n} apples and buys {more} more. He has {boxes} boxes. How many?"
            lines.append(
                json.dumps({"question": question, "answer": "\n".join(steps) + f"\n#### {boxes * 6}"})
            )
        (directory / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return directory


def recipe(tiny_model, data, **fields):
    return Recipe.model_validate(
        {
            "engine": "step_jepa",
            "model": {"base": str(tiny_model)},
            "lora": {"r": 4, "lora_alpha": 8},
            "task": {"name": "gsm8k", "path": str(data), "dev_examples": 10},
            "prompt": {"system": ""},
            "train_samples": 16,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "learning_rate": 5e-3,
            "warmup_steps": 0,
            "device": "cpu",
            **fields,
            "jepa": {"panel_steps": 4, **fields.get("jepa", {})},
        }
    )


def metrics(events, name):
    return {
        event["step"]: event["values"][name]
        for event in events
        if event["kind"] == "metrics" and name in event["values"]
    }


@pytest.fixture
def trained(tiny_model, chains, make_run, read_events):
    """Trains with these fields; gives the run and its events."""

    def train(name="run", **fields):
        attempt = make_run(name)
        run(recipe(tiny_model, chains, **fields), attempt)
        return attempt, read_events(attempt)

    return train


def test_the_language_loss_is_that_of_ordinary_training_and_of_sft(
    tiny_model, chains, trained, make_run, read_events
):
    from engines import sft

    measured = {"eval_steps": 4, "eval_samples": 4, "eval_max_new_tokens": 4}
    _, steps = trained("steps")
    _, regular = trained("regular", **measured, jepa={"mode": "regular"})
    fields = recipe(tiny_model, chains, **measured).model_dump(by_alias=True, exclude={"steps", "jepa"})
    ordinary = make_run("sft")
    sft.run(sft.Recipe.model_validate({**fields, "engine": "sft"}), ordinary)
    first = metrics(regular, "lm_loss")[1]
    assert metrics(steps, "lm_loss")[1] == pytest.approx(first, abs=1e-6)
    assert metrics(read_events(ordinary), "loss")[1] == pytest.approx(first, abs=1e-6)
    # `regular` is `sft`, to the end.
    for name in ("loss", "grad_norm", "tokens", "eval_loss", "dev_accuracy_robust"):
        expected = list(metrics(read_events(ordinary), name).values())
        assert list(metrics(regular, name).values()) == pytest.approx(expected, rel=1e-4), name
    assert metrics(steps, "lm_loss")[8] != pytest.approx(metrics(regular, "lm_loss")[8], abs=1e-6)


@pytest.mark.parametrize(
    "fields",
    [
        {"train_samples": 7},  # the last step of an epoch accumulates one batch of two and one of one
        {"train_samples": 5, "lora": None, "gradient_accumulation_steps": 4},
        {"bf16": True},
        {"bf16": True, "lora": None, "model_fields": {"attn_implementation": "eager"}},
        {"gradient_checkpointing": True},
    ],
    ids=str,
)
def test_it_is_that_of_sft_however_rows_are_batched_and_computed(
    tiny_model, chains, trained, make_run, read_events, fields
):
    from engines import sft

    fields = {"train_samples": 8, "learning_rate": 1e-4, **fields}
    if "model_fields" in fields:
        fields["model"] = {"base": str(tiny_model), **fields.pop("model_fields")}
    body = recipe(tiny_model, chains, **fields).model_dump(by_alias=True, exclude={"steps", "jepa"})
    ordinary = make_run("sft")
    sft.run(sft.Recipe.model_validate({**body, "engine": "sft"}), ordinary)
    expected = metrics(read_events(ordinary), "loss")
    for jepa, tolerance in (({"mode": "regular"}, 1e-6), ({"mode": "monitor", "panel_steps": 100}, 1e-4)):
        attempt, events = trained(jepa["mode"], **fields, jepa=jepa)
        found = metrics(events, "lm_loss")
        assert list(found) == list(expected)
        # Gradients in 16 bits are rounded in another order: a thousandth, where another label would be tenths.
        rounding = 1e-3 if fields.get("bf16") else tolerance
        assert list(found.values()) == pytest.approx(list(expected.values()), rel=rounding), jepa
        if fields.get("bf16") and jepa["mode"] == "monitor":
            mixed = json.loads((attempt.dir / "mask_proof.json").read_text())["mixed_precision"]
            assert mixed["held"] and mixed["leak"] == 0


def test_every_step_is_logged_and_the_panel_every_few(trained):
    _, events = trained()
    for name in (
        "loss",
        "lm_loss",
        "jepa_loss",
        "jepa_cosine",
        "jepa_margin",
        "jepa_weight",
        "grad_norm",
        "tokens",
    ):
        assert sorted(metrics(events, name)) == list(range(1, 9)), name
    for name in (
        *(
            "jepa_loss",
            "retrieval",
            "mrr",
            "chance",
            "hard_r1",
            "hard_mrr",
            "hard_chance",
            "cosine",
            "margin",
        ),
        *("effective_rank", "energy", "spread", "uniformity", "centred_margin", "linear_r2"),
    ):
        assert sorted(metrics(events, f"panel/{name}")) == [0, 4, 8], name
    assert sorted(metrics(events, "jepa_grad_ratio")) == sorted(metrics(events, "jepa_grad_cosine")) == [1, 5]
    scores = {event["name"]: event["value"] for event in events if event["kind"] == "score"}
    assert scores["panel/retrieval"] == metrics(events, "panel/retrieval")[8] and scores["budget/steps"] == 8


def test_the_proof_the_steps_and_the_predictor_lie_beside_an_ordinary_adapter(tiny_model, trained):
    from transformers import AutoModelForCausalLM

    from engines.jepa.fields import JepaBlock
    from engines.jepa.predictor import make_predictor

    attempt, events = trained(jepa={"predictors": 3})
    artifacts = {event["name"]: event["path"] for event in events if event["kind"] == "artifact"}
    assert {"mask_proof", "steps", "training_rows", "model", "run"} <= set(artifacts)
    assert all((attempt.dir / path).exists() for path in artifacts.values())
    proof = json.loads((attempt.dir / "mask_proof.json").read_text())
    assert proof["held"] and proof["leak"] == 0 and proof["control"] > 0.01
    assert proof["equivalence"] < 1e-5 and proof["language"] < 1e-5
    embedding = AutoModelForCausalLM.from_pretrained(tiny_model).get_input_embeddings()
    before = make_predictor(JepaBlock(predictors=3), embedding, seed=42).tokens.detach()
    tokens = load_file(attempt.dir / "predictor.safetensors")["tokens"]
    assert tokens.shape == (3, 64) and (tokens != before).float().mean() > 0.9
    assert (tokens - before).abs().max() < 8 * 5e-3 + 1e-6  # began there
    assert not [name for name in load_file(attempt.model / "adapter_model.safetensors") if "lora" not in name]
    assert json.loads((attempt.dir / "run.json").read_text())["changed_parameters"] > 0.9


@pytest.mark.parametrize("chain", ["continue", "merge"])
def test_what_is_saved_is_an_ordinary_model_that_is_trained_on_and_evaluated(
    tiny_model, chains, trained, make_run, read_events, chain
):
    from engines import eval as evaluation

    short = {"max_steps": 1, "jepa": {"panel_steps": 1}}
    first, _ = trained("first", **short)
    second = make_run("second", inputs={"first": first.dir})
    lora = {"r": 2} if chain == "merge" else {"r": 4, "lora_alpha": 8}
    fields = {**short, "model": {"from": "first"}, "chain": chain, "lora": lora}
    run(recipe(tiny_model, chains, **fields), second)
    assert (second.dir / "predictor.safetensors").is_file()
    assert not list(second.model.glob("predictor*"))
    assert (second.model / "tokenizer.json").read_bytes() == (first.model / "tokenizer.json").read_bytes()
    sizes = json.loads((second.model / "tokenizer.json").read_text())["model"]["vocab"]
    assert sizes == json.loads((tiny_model / "tokenizer.json").read_text())["model"]["vocab"]
    asked = make_run("asked", inputs={"second": second.dir})
    body = {
        **{"engine": "eval", "model": {"from": "second"}, "device": "cpu", "prompt": {"system": ""}},
        **{"task": {"name": "gsm8k", "path": str(chains)}, "limit": 2, "sampling": {"max_new_tokens": 4}},
    }
    evaluation.run(evaluation.Recipe.model_validate(body), asked)
    assert len([event for event in read_events(asked) if event["kind"] == "example"]) == 2


def test_how_a_batch_is_split_changes_no_loss_and_no_gradient(trained):
    one_step = {"train_samples": 8, "max_steps": 1, "jepa": {"lambda": 1.0}}
    _, whole = trained("whole", **one_step, per_device_train_batch_size=8, gradient_accumulation_steps=1)
    _, parts = trained("parts", **one_step, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    for name in ("loss", "lm_loss", "jepa_loss", "grad_norm"):
        assert metrics(whole, name)[1] == pytest.approx(metrics(parts, name)[1], rel=1e-6), name


@pytest.mark.parametrize(
    "fields",
    [
        {"jepa": {"mode": "step"}},
        {"jepa": {"mode": "text_code"}},
        {"jepa": {"mode": "stp", "predictor": "linear"}},
        {"jepa": {"horizon": 2}},
        {"jepa": {"predictors": 0, "target": "contextual"}},
        {"jepa": {"predictor": "mlp", "readout": "mean", "distance": "smooth_l1"}},
        {"jepa": {"target": "question", "readout": "last_content", "distance": "l2"}},
        {"jepa": {"distance": "infonce", "target": "bos", "target_grad": "stop"}},
        {"jepa": {"control": "shuffle"}},
        {"jepa": {"control": "random_boundary"}},
        {"lora": None, "jepa": {"target_grad": "ema"}},
        {"model_fields": {"attn_implementation": "eager"}},
        {"model_fields": {"dtype": "bfloat16"}, "jepa": {"predictor": "linear"}},
        {"bf16": True, "jepa": {"target_grad": "ema"}},
        {"gradient_checkpointing": True},
        {"eval_steps": 1, "eval_samples": 2, "eval_max_new_tokens": 4},
    ],
    ids=str,
)
def test_every_option_trains_and_is_saved_as_it_is(tiny_model, trained, fields):
    fields = dict(fields)
    if "model_fields" in fields:
        fields["model"] = {"base": str(tiny_model), **fields.pop("model_fields")}
    jepa = {"lambda": 1.0, "panel_steps": 10, **fields.pop("jepa", {})}
    all_rows = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 1}
    attempt, events = trained(**fields, **all_rows, jepa=jepa, learning_rate=1e-3)
    assert sorted(metrics(events, "jepa_loss")) == [1, 2] and sorted(metrics(events, "panel/retrieval")) == [
        0,
        2,
    ]
    assert metrics(events, "lm_loss")[2] < metrics(events, "lm_loss")[1]
    assert (attempt.model / "lineage.json").is_file()
    assert (attempt.dir / "mask_proof.json").is_file() == (
        jepa.get("mode") != "stp" and jepa.get("target") != "contextual"
    )


def test_measuring_alone_changes_nothing_that_is_trained(trained):
    results = {}
    for name, jepa in (
        ("regular", {"mode": "regular"}),
        ("monitor", {"mode": "monitor"}),
        ("same", {"control": "same_compute"}),
    ):
        attempt, events = trained(name, jepa=jepa, max_steps=3)
        results[name] = metrics(events, "lm_loss"), load_file(attempt.model / "adapter_model.safetensors")
    losses, adapter = results["regular"]
    for name in ("monitor", "same"):
        assert list(results[name][0].values()) == pytest.approx(list(losses.values()), abs=1e-5)
        # Adam divides by the gradient's size, so that rounding shows where there is hardly any.
        assert max(float((results[name][1][key] - adapter[key]).abs().max()) for key in adapter) < 5e-3 * 0.5


FRAGILE = {
    "save_steps": 3,
    "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1},
    "jepa": {
        "target_grad": "ema",
        "loss_dropout": 0.3,
        "lambda_warmup_steps": 4,
        "lambda": 1.0,
        "control": "shuffle",
        "panel_steps": 2,
    },
}


def test_a_run_killed_twice_goes_on_to_the_same_numbers(
    tiny_model, chains, trained, make_run, read_events, kill_at
):
    whole, events = trained("whole", **FRAGILE)
    body = recipe(tiny_model, chains, **FRAGILE)
    attempt = make_run("killed")
    assert kill_at(attempt.dir, "step_jepa", body, "step 5") == -signal.SIGKILL
    assert attempt.resume_from == attempt.checkpoints / "checkpoint-3"
    assert kill_at(attempt.dir, "step_jepa", body, "step 8") == -signal.SIGKILL
    assert kill_at(attempt.dir, "step_jepa", body) == 0
    resumed = read_events(attempt)
    for name in (
        "loss",
        "lm_loss",
        "jepa_loss",
        "jepa_margin",
        "jepa_weight",
        "jepa_grad_ratio",
        "grad_norm",
        "tokens",
        "panel/mrr",
        "panel/spread",
    ):
        assert metrics(resumed, name) == metrics(events, name), name
    for path in ("model/adapter_model.safetensors", "predictor.safetensors"):
        assert (attempt.dir / path).read_bytes() == (whole.dir / path).read_bytes()
    assert (attempt.checkpoints / "checkpoint-8" / "ema.safetensors").is_file()


def test_predictions_find_their_step_and_those_of_shuffled_targets_do_not(make_run, read_events):
    """On pocket: retrieval among the steps of held-out problems, far above chance and at chance."""
    found = {}
    for control in ("none", "shuffle"):
        attempt = make_run(control)
        body = {
            "engine": "step_jepa",
            "model": {"base": "pocket"},
            "task": "pocket-math",
            "prompt": {"system": ""},
            "seed": 1,
            "device": "cpu",
            "lora": None,
            "train_samples": 768,
            "num_train_epochs": 1,
            "per_device_train_batch_size": 16,
            "gradient_accumulation_steps": 1,
            "learning_rate": 4e-3,
            "warmup_steps": 0.1,
            "jepa": {
                **{"distance": "infonce", "temperature": 0.2, "lambda": 1.0, "predictors": 1},
                **{"control": control, "panel_steps": 100},
            },
        }
        run(Recipe.model_validate(body), attempt)
        found[control] = (
            metrics(read_events(attempt), "panel/retrieval"),
            metrics(read_events(attempt), "panel/chance"),
        )
    (paired, chance), (shuffled, _) = found["none"], found["shuffle"]
    assert paired[48] > 10 * chance[48] and shuffled[48] < 3 * chance[48]


def test_a_collapse_is_warned_of_while_the_loss_looks_better_than_ever(trained):
    """The published loss without the language loss, which is what keeps embeddings apart."""
    _, events = trained(
        **{"lora": None, "num_train_epochs": 12, "learning_rate": 1e-2},
        jepa={"gamma": 0.0, "lambda": 1.0, "panel_steps": 8},
    )
    loss, energy = metrics(events, "panel/jepa_loss"), metrics(events, "panel/energy")
    assert loss[48] < 0.02 < loss[0] and energy[48] > 0.99 > energy[0]
    warnings = [
        event["text"] for event in events if event["kind"] == "message" and event["level"] == "warning"
    ]
    assert len([text for text in warnings if "energy is in one direction" in text]) == 1


def test_solutions_without_a_second_step_are_refused(tiny_model, sums, make_run):
    with pytest.raises(RecipeError, match="`lines` finds at most 1 step in") as refused:
        run(recipe(tiny_model, sums), make_run())
    assert "coverage" in refused.value.hint


def test_development_examples_without_steps_are_refused(tiny_model, chains, make_run):
    with pytest.raises(RecipeError, match="1 of 1 development examples"):
        run(
            recipe(tiny_model, chains, task={"name": "gsm8k", "path": str(chains), "dev_examples": 1}),
            make_run(),
        )


@pytest.fixture
def paragraphs(chains, tmp_path):
    """Traces with a blank line between steps, which the task's own solutions do not have."""
    kept = load_examples(TaskBlock(name="gsm8k", path=str(chains), dev_examples=10), "train")
    lines = [
        json.dumps({"question": one.question, "answer": f"{steps}\n\n#### {one.answer}"})
        for one in kept
        for steps in [one.reasoning.replace("\n", "\n\n")]
    ]
    path = tmp_path / "paragraphs.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return {"traces": str(path), "steps": {"splitter": "blank_line"}, "max_steps": 1}


def test_traces_that_are_not_trained_on_are_the_panel(trained, paragraphs):
    _, events = trained(**paragraphs, jepa={"panel_examples": 20})
    assert sorted(metrics(events, "panel/retrieval")) == [0, 1]
    assert metrics(events, "panel/pairs")[0] >= 20


def test_traces_train_without_a_panel_where_nothing_like_them_is_held_out(trained, paragraphs):
    _, events = trained(**paragraphs, train_samples=None)
    assert metrics(events, "jepa_loss")[1] > 0 and not metrics(events, "panel/retrieval")
    [warning] = [event["text"] for event in events if event.get("level") == "warning"]
    assert "0 of 10 development examples fit" in warning and "no alarm of a collapse" in warning


def test_flex_attention_is_refused_on_a_cpu(tiny_model, chains, make_run):
    with pytest.raises(RecipeError, match="CUDA only"):
        run(recipe(tiny_model, chains, jepa={"attention": "flex_attention"}), make_run())


@pytest.mark.parametrize(
    ("fields", "remark"),
    [
        ({"jepa": {"mode": "regular", "lambda": 2.0}}, "jepa.lambda: has no effect with `mode: regular`"),
        ({"jepa": {"mode": "stp", "predictors": 3}}, "jepa.predictors: has no effect with `mode: stp`"),
        ({"jepa": {"mode": "text_code", "target": "bos"}}, "jepa.target: has no effect"),
        (
            {"jepa": {"predictor": "linear", "predictors": 3}},
            "jepa.predictors: has no effect with `predictor",
        ),
        ({"jepa": {"temperature": 0.1}}, "jepa.temperature: has no effect"),
        ({"jepa": {"ema_momentum": 0.9}}, "jepa.ema_momentum: has no effect"),
        ({"jepa": {"mode": "stp", "control": "random_boundary"}}, "`random_boundary` has no effect"),
        ({"jepa": {"control": "shuffle"}, "per_device_train_batch_size": 1}, "`shuffle` needs other rows"),
        ({"jepa": {"control": "same_compute", "lambda": 1.0}}, "gives it no weight"),
        ({"jepa": {"lambda": 0}}, "jepa.lambda: 0 does all the work"),
        (
            {"jepa": {"mode": "step", "distance": "infonce"}, "per_device_train_batch_size": 1},
            "jepa.distance: `infonce` tells",
        ),
        ({"packing": True}, "packing: has no effect"),
    ],
)
def test_options_without_effect_are_remarked_on(tiny_model, chains, fields, remark):
    asked = recipe(tiny_model, chains, **fields)
    assert any(remark in text for text in asked.remarks())
    written_out = Recipe.model_validate(asked.model_dump(by_alias=True))
    assert written_out.remarks() == asked.remarks()


@pytest.mark.parametrize("jepa", [{}, {"mode": "regular"}, {"mode": "text_code"}, {"mode": "monitor"}])
def test_fields_that_a_run_finds_written_out_are_not_remarked_on(tiny_model, chains, jepa):
    body = recipe(tiny_model, chains).model_dump(by_alias=True)
    assert not Recipe.model_validate({**body, "jepa": {**body["jepa"], "panel_steps": 10, **jepa}}).remarks()


@pytest.mark.parametrize(
    "jepa", [{"lambda": 0}, {"mode": "regular"}, {"mode": "monitor"}, {"control": "same_compute"}]
)
def test_a_recipe_that_weighs_neither_loss_is_refused(tiny_model, chains, jepa):
    with pytest.raises(ValidationError, match="leaves nothing to learn"):
        recipe(tiny_model, chains, jepa={"gamma": 0, **jepa})
