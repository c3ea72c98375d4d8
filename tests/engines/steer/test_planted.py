"""The whole way, on a model of which the truth is known: sample, pair, audit, read, find, probe, steer."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
from engines.prompts.rendering import render_prompt, resolve_prefill
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock, TaskBlock
from engines.steer.audit import audit
from engines.steer.directions import directions
from engines.steer.extraction import extract, find_directions
from engines.steer.gates import Bench, run_gates
from engines.steer.generate import SteeredGenerator, steered_requests
from engines.steer.pairs import anticipating, on_policy
from engines.steer.probes import probe_layers
from engines.steer.vectors import METHODS, random_directions, random_in_pca, shuffled, sign_flipped
from engines.tasks.grading import grade
from engines.tasks.loading import load_examples

LAYERS = tuple(range(6))
GREEDY = SamplingBlock(max_new_tokens=4)


@pytest.fixture(scope="module")
def world(planted):
    """Model, tokenizer, spec, questions to learn from and to test on."""
    tokenizer = AutoTokenizer.from_pretrained(planted.model, padding_side="left")
    task = TaskBlock(name="gsm8k", path=str(planted.questions), dev_examples=60)
    spec = resolve_prefill(tokenizer, PromptSpec(system="", stop=[]))
    model = AutoModelForCausalLM.from_pretrained(planted.model).eval()
    return model, tokenizer, spec, load_examples(task, "train"), load_examples(task, "dev")


@pytest.fixture(scope="module")
def found(world, tmp_path_factory):
    """Activations of right and wrong answers at all layers."""
    model, tokenizer, spec, train, _ = world
    sampling = SamplingBlock(temperature=0.7, num_samples=8, max_new_tokens=4)
    sides, _ = on_policy(HfGenerator(model, tokenizer, 512), tokenizer, spec, train, 0, sampling)
    verdict = audit(tokenizer, sides)
    assert verdict.passed, verdict
    return extract(
        model, tokenizer, spec, sides, site="block_out", read="answer_last", directory=tmp_path_factory.mktemp("store"),
        identity={"weights": "planted"}, data_hash="400 questions", pairs={"scheme": "P2"}, batch_size=256,
    )  # fmt: skip


def accuracy(world, steerings):
    """Share of right greedy answers on the dev questions, one for each steering."""
    model, tokenizer, spec, _, dev = world
    generator = SteeredGenerator(model, tokenizer, 1024, [row for row in steerings if row])
    prompts = [render_prompt(tokenizer, spec, example.question) for example in dev]
    made = complete(generator, steered_requests(requests_for(prompts, 1), steerings), GREEDY, [], 0)
    right = [
        grade(completion.text, dev[place // len(steerings)].answer, spec, completion.terminated).robust
        for place, completion in enumerate(made)
    ]
    return [sum(right[number :: len(steerings)]) / len(dev) for number in range(len(steerings))]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_planted_direction_at_its_layer_and_with_its_sign(planted, found, method):
    unit = find_directions(found, "block_out", method).unit
    along = unit[:, planted.U]
    assert along[planted.LAYER] > 0.9
    if method != "logistic":  # which sees, noise being absent, the thousandth of u that block 4 leaves behind
        assert along[[0, 1, 2, 4, 5]].abs().max() < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_controls_do_not_find_it(planted, found, seed):
    rows = (found.values, found.labels, found.questions)
    for raw in (
        random_directions(len(LAYERS), planted.SIZE, seed),
        random_in_pca(found.values, 20, seed),
        shuffled(*rows, seed),
    ):
        here = raw[planted.LAYER]
        assert abs(float(here[planted.U] / here.norm())) < 0.6


def test_probes_name_the_planted_layer(planted, found):
    rows = probe_layers(found)
    best = rows[planted.LAYER]
    assert best.low > 0.95 and best.split_half > 0.95 and best.pairwise > 0.7
    assert best.d_prime == max(row.d_prime for row in rows)
    assert all(row.low < 0.6 and row.pairwise < 0.5 for row in rows[: planted.LAYER])


def test_steering_helps_at_the_planted_layer_with_the_planted_sign_and_strength_alone(planted, world, found):
    rows, norms = (found.values, found.labels, found.questions), found.norm_ref
    true = find_directions(found, "block_out", "mean_difference")
    controls = [
        directions("block_out", "random", LAYERS, random_directions(len(LAYERS), planted.SIZE, 1), norms),
        directions("block_out", "shuffled", LAYERS, shuffled(*rows, 1), norms),
        directions("block_out", "flipped", LAYERS, sign_flipped(true.unit), norms),
    ]
    low, high = (push / norms[planted.LAYER] for push in planted.BEST)
    middle = (low + high) / 2
    ladder = [
        None,
        *(true.steering([planted.LAYER], alpha) for alpha in (low, middle, high, -middle, 13 / norms[3])),
    ]
    base, *scores = accuracy(world, ladder)
    assert 0.4 < base < 0.6
    assert scores == [1.0, 1.0, 1.0, pytest.approx(0.0, abs=0.1), 0.0]
    others = accuracy(world, [true.steering([layer], middle) for layer in LAYERS if layer != planted.LAYER])
    assert max(others) < 0.75
    assert max(accuracy(world, [control.steering([planted.LAYER], middle) for control in controls])) < 0.75


def test_the_direction_that_anticipates_is_the_planted_one_as_well(planted, world, tmp_path):
    """At the prompt's last token, u is what the name is worth: the questions that will be solved are those above 0."""
    model, tokenizer, spec, train, _ = world
    sampling = SamplingBlock(temperature=0.7, num_samples=7, max_new_tokens=4)
    _, rows = on_policy(HfGenerator(model, tokenizer, 512), tokenizer, spec, train, 0, sampling)
    sides = anticipating(tokenizer, spec, rows)
    read = extract(
        model, tokenizer, spec, sides, site="block_out", read="prompt_last", directory=tmp_path,
        identity={}, data_hash="", pairs={},
    )  # fmt: skip
    unit = find_directions(read, "block_out", "mean_difference").unit
    assert float(unit[planted.LAYER, planted.U]) > 0.5 > float(unit[planted.LAYER - 1, planted.U])


def test_the_planted_model_passes_the_gates(planted, world, found, tmp_path):
    model, tokenizer, spec, train, dev = world
    true = find_directions(found, "block_out", "mean_difference")
    prompts = [render_prompt(tokenizer, spec, example.question) for example in dev[:32]]
    bench = Bench(model, tokenizer, prompts, true, LAYERS, 0.05, GREEDY, spec, train[:20])
    assert all(row.passed for row in run_gates(bench, tmp_path))


def test_the_planted_direction_is_where_it_says(planted, world):
    model, tokenizer = world[0], world[1]
    ids = torch.tensor([tokenizer("ask n0 red two =")["input_ids"]])
    outputs = []
    handle = model.model.layers[planted.LAYER].register_forward_hook(lambda _m, _a, out: outputs.append(out))
    with torch.inference_mode():
        model(ids)
    handle.remove()
    assert float(outputs[0][0, -1, planted.U]) == pytest.approx(planted.WORTH[0], abs=0.05)
