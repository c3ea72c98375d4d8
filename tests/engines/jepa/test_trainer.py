"""The trainer's arithmetic on a tiny model: what a gradient is, whatever a batch is split into."""

import copy

import pytest
import torch
from transformers import TrainingArguments

from engines.jepa.ema import SlowWeights
from engines.jepa.fields import JepaBlock
from engines.jepa.model import JepaModel
from engines.jepa.packing import Packing
from engines.jepa.predictor import make_predictor
from engines.jepa.trainer import JepaTrainer


@pytest.fixture
def make_trainer(make_lm, make_rows, tmp_path):
    def make(family="llama", rows=8, batch=8, accumulation=1, prepared=None, **options):
        block = JepaBlock(**{"lambda": 1.0, **options})
        lm = make_lm(family)
        model = JepaModel(lm, make_predictor(block, lm.get_input_embeddings(), seed=3))
        if prepared is not None:
            prepared(model)
        slow = SlowWeights(model.transformer, 0.9) if block.target_grad == "ema" else None
        arguments = TrainingArguments(
            output_dir=str(tmp_path),
            use_cpu=True,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulation,
            max_steps=4,
            remove_unused_columns=False,
            report_to="none",
            disable_tqdm=True,
        )
        return JepaTrainer(
            packing=Packing(block, 5, {}),
            pad_token=0,
            slow=slow,
            model=model,
            args=arguments,
            train_dataset=make_rows(rows),
        )

    return make


def gradients(trainer, parts):
    """The gradients of one optimizer step on all rows in order, and the summed loss."""
    rows = trainer.train_dataset
    size = len(rows) // parts
    batches = iter([{"rows": rows[first : first + size]} for first in range(0, len(rows), size)])
    trainer.state.max_steps = 4
    trainer.current_gradient_accumulation_steps = parts
    inputs, count = trainer.get_batch_samples(batches, parts, torch.device("cpu"))
    trainer.model.zero_grad()
    loss = sum(trainer.training_step(trainer.model, each, count) for each in inputs)
    found = {
        name: parameter.grad.clone()
        for name, parameter in trainer.model.named_parameters()
        if parameter.grad is not None
    }
    return found, float(loss)


def largest_difference(one, other):
    scale = max(float(tensor.abs().max()) for tensor in one.values())
    return max(float((one[name] - other[name]).abs().max()) for name in one) / scale


@pytest.mark.parametrize("family", ["llama", "gemma2"])
@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_accumulation_changes_neither_loss_nor_gradient(make_trainer, family, distance):
    whole, loss = gradients(make_trainer(family, distance=distance), 1)
    parts, same_loss = gradients(make_trainer(family, batch=2, accumulation=4, distance=distance), 4)
    assert whole.keys() == parts.keys() and "predictor.tokens" in whole
    assert loss == pytest.approx(same_loss, rel=1e-6)
    assert largest_difference(whole, parts) < 1e-6


def test_the_loss_is_gamma_times_one_plus_lambda_times_the_other(make_trainer):
    _, language = gradients(make_trainer(**{"lambda": 0.0}), 1)
    _, embedding = gradients(make_trainer(**{"lambda": 1.0, "gamma": 0.0}), 1)
    _, both = gradients(make_trainer(**{"lambda": 0.5, "gamma": 3.0}), 1)
    assert language > 0 and embedding > 0
    assert both == pytest.approx(3 * language + 0.5 * embedding, rel=1e-6)


def test_a_dropped_step_keeps_gamma_and_drops_no_language_loss(make_trainer):
    trainer = make_trainer(gamma=3.0, loss_dropout=0.5)
    trainer.state.global_step = next(step for step in range(40) if trainer.packing.is_dropped(step))
    found, loss = gradients(trainer, 1)
    language, ordinary = gradients(make_trainer(mode="regular"), 1)
    assert loss == pytest.approx(3 * ordinary, rel=1e-6) and not found["predictor.tokens"].any()
    assert largest_difference({name: 3 * language[name] for name in language}, found) < 1e-6


@pytest.mark.parametrize("family", ["llama", "gemma2", "granite"])
def test_the_language_loss_is_the_one_that_the_model_computes_itself(make_trainer, family):
    """Labels are those of the next token: the model shifts its own."""
    trainer = make_trainer(family)
    rows = trainer.train_dataset
    with torch.no_grad():
        own = [
            trainer.jepa.lm(input_ids=torch.tensor([row.input_ids]), labels=torch.tensor([row.labels])).loss
            for row in rows
        ]
    counts = [sum(label != -100 for label in row.labels[1:]) for row in rows]
    expected = sum(float(loss) * count for loss, count in zip(own, counts, strict=True)) / sum(counts)
    _, found = gradients(make_trainer(family, **{"lambda": 0.0}), 1)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("mode", ["steps", "monitor"])
@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_activations_computed_again_give_the_same_gradients(make_trainer, family, mode):
    """With an adapter too, where no embedding needs a gradient."""
    from peft import LoraConfig, get_peft_model

    def adapted(model):
        model.lm = get_peft_model(model.lm, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
        model.predictor.requires_grad_(mode != "monitor")

    options = {"prepared": adapted, "mode": mode, "predictors": 0 if mode == "monitor" else 2}
    kept, loss = gradients(make_trainer(family, **options), 1)
    trainer = make_trainer(family, **options)
    trainer.model.gradient_checkpointing_enable()
    again, same = gradients(trainer, 1)
    assert kept.keys() == again.keys() and any("lora_B" in name and kept[name].any() for name in kept)
    assert loss == pytest.approx(same, rel=1e-6) and largest_difference(kept, again) < 1e-6


def test_the_logged_embedding_loss_is_the_mean_over_the_steps_that_had_one(make_trainer):
    trainer = make_trainer(loss_dropout=0.5)
    _, language = gradients(make_trainer(mode="regular"), 1)
    expected = []
    for step in range(8):
        trainer.state.global_step = step
        _, loss = gradients(trainer, 2)
        if not trainer.packing.is_dropped(step):
            expected.append(loss - language)
    assert 0 < len(expected) < 8
    assert trainer._logged.take()["jepa_loss"] == pytest.approx(sum(expected) / len(expected), rel=1e-5)


def test_what_is_trained_is_in_a_checkpoint_and_comes_back(make_trainer, tmp_path):
    trainer = make_trainer(target_grad="ema", predictor="linear")
    trainer.history.append({"step": 0, "margin": 0.5})
    with torch.no_grad():
        for tensor in (*trainer.jepa.parameters(), *trainer.slow.averages.values()):
            tensor.add_(torch.randn(tensor.shape))
    trainer._save(str(tmp_path / "checkpoint"))
    other = make_trainer(target_grad="ema", predictor="linear")
    other._load_from_checkpoint(str(tmp_path / "checkpoint"))
    wanted, found = trainer.jepa.state_dict(), other.jepa.state_dict()
    assert wanted.keys() == found.keys() and "predictor.head.weight" in wanted
    assert all(torch.equal(wanted[name], found[name]) for name in wanted)
    for name, average in trainer.slow.averages.items():
        assert torch.equal(average, other.slow.averages[name])
    assert other.history == trainer.history


def test_gradients_of_the_two_losses_are_compared_without_being_changed(make_trainer):
    language, _ = gradients(make_trainer(**{"lambda": 0.0}), 1)
    embedding, _ = gradients(make_trainer(gamma=0.0), 1)
    trainer = make_trainer(**{"lambda": 0.5, "gamma": 2.0})
    both, _ = gradients(trainer, 1)
    assert (
        largest_difference(both, {name: 2 * language[name] + 0.5 * embedding[name] for name in both}) < 1e-5
    )
    one, other = (
        torch.cat([found[name].flatten() for name in sorted(found) if name.startswith("lm.")])
        for found in (language, embedding)
    )
    found = trainer._logged.take()
    assert found["jepa_grad_ratio"] == pytest.approx(float(other.norm() / one.norm()), rel=1e-4)
    expected = torch.nn.functional.cosine_similarity(one, other, dim=0)
    assert found["jepa_grad_cosine"] == pytest.approx(float(expected), rel=1e-3, abs=1e-5)


def test_the_language_loss_and_its_gradient_are_those_of_ordinary_training(make_trainer):
    ordinary, loss = gradients(make_trainer(mode="regular"), 1)
    monitored, same = gradients(make_trainer(mode="monitor"), 1)
    computed, again = gradients(make_trainer(control="same_compute"), 1)
    assert loss == pytest.approx(same, abs=1e-6) and loss == pytest.approx(again, abs=1e-6)
    assert largest_difference(ordinary, {name: monitored[name] for name in ordinary}) < 1e-6
    assert largest_difference(ordinary, {name: computed[name] for name in ordinary}) < 1e-6
    assert not computed["predictor.tokens"].any()


def test_a_stopped_target_gives_no_gradient_and_a_symmetric_one_does(make_trainer):
    """What is left when predictions are constants: everything that the loss does to the model through its targets."""

    def through_targets(target_grad):
        def constant_predictions(model):
            model.predictor.head = torch.nn.Linear(32, 32)
            with torch.no_grad():
                model.predictor.head.weight.zero_()

        trainer = make_trainer(
            prepared=constant_predictions, target_grad=target_grad, gamma=0.0, distance="mse"
        )
        found, _ = gradients(trainer, 1)
        return float(found["lm.model.layers.0.self_attn.v_proj.weight"].abs().max())

    assert through_targets("symmetric") > 0
    assert through_targets("stop") == through_targets("ema") == 0


def test_a_step_without_the_embedding_loss_costs_nothing_more(make_trainer):
    trainer = make_trainer(loss_dropout=0.5)
    lengths = {False: set(), True: set()}
    for step in range(40):
        trainer.state.global_step = step
        inputs, _ = trainer.get_batch_samples(iter([{"rows": trainer.train_dataset}]), 1, torch.device("cpu"))
        batch = inputs[0]["inputs"].batch
        lengths[trainer.packing.is_dropped(step)].add((batch.input_ids.shape[1], len(batch.pairs)))
    [(short, pairs)], [(long, _)] = lengths[True], lengths[False]
    assert pairs == 0 and short < long
    assert 10 <= sum(trainer.packing.is_dropped(step) for step in range(40)) <= 30


def test_slow_weights_read_the_targets_and_follow_the_model(make_trainer):
    trainer = make_trainer(target_grad="ema")
    [inputs], _ = trainer.get_batch_samples(iter([{"rows": trainer.train_dataset}]), 1, torch.device("cpu"))
    batch = inputs["inputs"].batch
    model, slow = trainer.jepa, trainer.slow
    own = batch.group * (batch.predictors < 0)
    with torch.no_grad():
        same = model.encode_with(slow.weights, batch)
        assert torch.allclose(same[own > 0], model.encode(batch)[own > 0], atol=1e-6)
        before = copy.deepcopy(slow.averages)
        for parameter in model.transformer.parameters():
            parameter.add_(0.1)
        assert torch.equal(model.encode_with(slow.weights, batch), same)
    slow.on_step_end(None, None, None)
    name = "layers.0.self_attn.q_proj.weight"
    assert torch.allclose(slow.weights[name], before[name] + 0.01, atol=1e-6)


def test_the_slow_average_follows_weights_in_16_bits_too():
    module = torch.nn.Linear(4, 4, bias=False, dtype=torch.bfloat16)
    with torch.no_grad():
        module.weight.fill_(1.0)
        slow = SlowWeights(module, 0.99)
        module.weight.fill_(1.125)
    for _ in range(300):
        slow.on_step_end(None, None, None)
    assert slow.weights["weight"].dtype == torch.bfloat16
    assert torch.allclose(slow.weights["weight"].float(), torch.full((4, 4), 1.119), atol=0.004)


def test_with_an_adapter_only_the_adapter_is_averaged(make_trainer):
    from peft import LoraConfig, get_peft_model

    def adapted(model):
        model.lm = get_peft_model(model.lm, LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))

    trainer = make_trainer(prepared=adapted, target_grad="ema")
    slow = trainer.slow.weights
    assert slow and all("lora_" in name for name in slow)
    [inputs], _ = trainer.get_batch_samples(iter([{"rows": trainer.train_dataset}]), 1, torch.device("cpu"))
    batch, model = inputs["inputs"].batch, trainer.jepa
    with torch.no_grad():
        before = model.encode_with(slow, batch)
        for name, parameter in model.lm.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.3)
        assert torch.equal(model.encode_with(slow, batch), before)
        assert not torch.allclose(model.encode(batch), before, atol=1e-2)
    assert not before.requires_grad


def test_predictors_differ_are_of_the_vocabularys_size_and_the_same_for_a_seed(make_lm):
    lm = make_lm("gemma2")
    embedding = lm.get_input_embeddings()
    tokens = make_predictor(JepaBlock(predictors=8), embedding, seed=3).tokens.detach()
    assert torch.equal(tokens, make_predictor(JepaBlock(predictors=8), embedding, seed=3).tokens)
    assert not torch.equal(tokens, make_predictor(JepaBlock(predictors=8), embedding, seed=4).tokens)
    usual = embedding(torch.arange(96)).detach().norm(dim=-1).mean()
    assert 0.7 < float(tokens.norm(dim=-1).mean() / usual) < 1.5
    cosines = torch.nn.functional.cosine_similarity(tokens[:, None], tokens[None], dim=-1)
    assert cosines.fill_diagonal_(0).abs().max() < 0.9


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_a_layer_predicts_in_float32_in_mixed_precision_too(make_lm, kind):
    predictor = make_predictor(JepaBlock(predictor=kind), make_lm("llama").get_input_embeddings(), seed=3)
    states = torch.randn(5, 32, generator=torch.Generator().manual_seed(0)).bfloat16()
    alone = predictor(states)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = predictor(states)
    assert mixed.dtype == torch.float32 and torch.equal(mixed, alone)
