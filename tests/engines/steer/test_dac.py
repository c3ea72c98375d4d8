import math

import pytest
import torch

from engines.generation.generator import complete, requests_for
from engines.recipe.blocks import SamplingBlock
from engines.steer.dac import nucleus, strength
from engines.steer.generate import SteeredGenerator, steered_requests
from engines.steer.sites import find_decoder, module_at
from engines.steer.spec import PRESETS, Dac

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gpt2", "gptj", "falcon")
VOCABULARY = 32_000
PROMPTS = ["Tom has 12 apples", "He has 12 + 30 = 42 apples. Each box", "0 1 2 3"]


def logits_of(**probabilities):
    """Logits over 32,000 tokens with these probabilities for tokens `t0`, `t1`, ...; the others share what is left."""
    rest = (1 - sum(probabilities.values())) / (VOCABULARY - len(probabilities))
    p = torch.full((1, VOCABULARY), rest, dtype=torch.float64)
    for name, value in probabilities.items():
        p[0, int(name[1:])] = value
    return p.log()


def preset(name, top_p):
    return Dac.model_validate({**PRESETS[name]["schedule"], "top_p": top_p})


KL = math.log(2) / 3
CASES = [
    # Confident of the same token, of different ones, and 60/30 that turn round. Two tokens make up the union in each.
    ({"t0": 0.9999}, {"t0": 0.9999}, 0.4, {"dac-scalena-code": 0.0, "dac-paper": 0.0, "dac-wisent": 0.0}),
    ({"t0": 0.9999}, {"t1": 0.9999}, 0.4, {"dac-scalena-code": 2.0, "dac-paper": 2.0, "dac-wisent": 0.0}),
    ({"t0": 0.9999}, {"t1": 0.9999}, 0.9, {"dac-scalena-code": 2.0, "dac-paper": 2.0, "dac-wisent": 0.0}),
    (
        {"t0": 0.6, "t1": 0.3},
        {"t0": 0.3, "t1": 0.6},
        0.4,
        {"dac-scalena-code": KL / 2, "dac-paper": KL, "dac-wisent": 0.0},
    ),
    ({"t0": 0.6, "t1": 0.3}, {"t0": 0.3, "t1": 0.6}, 0.900001, {"dac-wisent": KL}),
]


@pytest.mark.parametrize(("original", "steered", "top_p", "expected"), CASES)
def test_the_three_readings_of_dac_give_their_closed_forms(original, steered, top_p, expected):
    for name, value in expected.items():
        found = strength(logits_of(**original), logits_of(**steered), preset(name, top_p))
        assert float(found) == pytest.approx(value, abs=2e-3), name


def test_the_direction_of_the_divergence_matters():
    one, other = logits_of(t0=0.9, t1=0.05), logits_of(t0=0.5, t1=0.45)
    forward = strength(one, other, Dac(top_p=0.6))
    backward = strength(one, other, Dac(top_p=0.6, kl_dir="steer||orig"))
    p, q = (0.9 / 0.95, 0.05 / 0.95), (0.5 / 0.95, 0.45 / 0.95)
    kl = lambda a, b: sum(x * math.log(x / y) for x, y in zip(a, b, strict=True))  # noqa: E731
    assert (float(forward), float(backward)) == pytest.approx((kl(p, q), kl(q, p)), abs=1e-5)


def test_a_nucleus_with_the_crossing_token_is_never_empty():
    p = torch.tensor([[0.5, 0.3, 0.2], [0.9, 0.05, 0.05]])
    assert nucleus(p, 0.6, True).tolist() == [[True, True, False], [True, False, False]]
    assert nucleus(p, 0.6, False).tolist() == [[True, False, False], [False, False, False]]


def test_strength_is_capped_and_never_below_zero():
    generator = torch.Generator().manual_seed(0)
    one, other = (10 * torch.randn(200, 50, generator=generator) for _ in range(2))
    found = strength(one, other, Dac(cap=1.5))
    assert bool((found >= 0).all()) and float(found.max()) == 1.5


def reference(model, ids, row, count):
    """DAC as published: no cache, the whole sequence three times for each token, our own hooks."""
    spec, dac = row.spec, row.spec.schedule
    start, strengths, ids = len(ids) - 1, [], list(ids)

    def logits(weights):
        handles = []
        for layer in spec.layers:
            delta = spec.alpha * spec.norm_ref[layer] * row.vectors[layer]

            def added(hidden, delta=delta):
                hidden = hidden.clone()
                for offset, weight in enumerate(weights):
                    hidden[0, start + offset] += weight * delta
                return hidden

            module = module_at(find_decoder(model), spec.site, layer)
            if spec.site == "o_proj_in":
                handles.append(module.register_forward_pre_hook(lambda _m, args, f=added: (f(args[0]),)))
            else:
                handles.append(
                    module.register_forward_hook(
                        lambda _m, _a, out, f=added: (
                            (f(out[0]), *out[1:]) if isinstance(out, tuple) else f(out)
                        )
                    )
                )
        try:
            with torch.inference_mode():
                return model(input_ids=torch.tensor([ids]), use_cache=False).logits[:, -1]
        finally:
            for handle in handles:
                handle.remove()

    for step in range(count):
        past = strengths if dac.history else [0.0] * step
        probe = [dac.alpha_probe] * step if dac.history else [0.0] * step
        original = logits([])
        strengths.append(float(strength(original, logits([*probe, dac.alpha_probe]), dac)))
        final = logits([*past[:step], strengths[step]])
        ids.append(int(final.argmax()))
    return ids[start + 1 :], strengths


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["dac-scalena-code", "dac-paper", "dac-wisent"])
def test_dac_with_caches_is_dac_that_reads_everything_again(family_model, tokenizer, steer, family, name):
    model = family_model(family)
    layers, top_p = ([1], 0.5) if name == "dac-wisent" else ([0, 1, 2, 3], 0.7)
    schedule = {**PRESETS[name]["schedule"], "top_p": top_p}
    row = steer(layers, 1.0, site=PRESETS[name]["site"], schedule=schedule, norm=1.5)
    generator = SteeredGenerator(model, tokenizer, 8, [row])
    # Rows of other kinds beside it, some of them samples of the same prompts.
    rows = [None, row, steer([2], 1.0)]
    generator.add(rows[2])
    requests = steered_requests(requests_for(PROMPTS, 1), rows)
    made = complete(generator, requests, SamplingBlock(max_new_tokens=8), [], 0)
    used = []
    for place, prompt in enumerate(PROMPTS):
        expected, strengths = reference(model, tokenizer(prompt)["input_ids"], row, 8)
        found = made[3 * place + 1].token_ids
        assert found == expected[: len(found)]
        assert generator.strengths[3 * place + 1] == pytest.approx(strengths[: len(found)], abs=2e-4)
        used += strengths
    assert len({round(value, 5) for value in used}) > 3, "strengths must vary for this test to mean anything"
    assert set(generator.strengths) == {1, 4, 7}


def test_what_is_beside_a_dac_row_is_as_without_it(family_model, tokenizer, steer):
    model = family_model("llama")
    dac, other = steer([1], 1.0, schedule={"kind": "dac"}), steer([2], 2.0, 1)
    requests = requests_for(PROMPTS, 1)
    sampling = SamplingBlock(max_new_tokens=8)
    alone = complete(
        SteeredGenerator(model, tokenizer, 8, [other]), steered_requests(requests, [other]), sampling, [], 0
    )
    beside = complete(
        SteeredGenerator(model, tokenizer, 8, [other, dac]),
        steered_requests(requests, [dac, other]),
        sampling,
        [],
        0,
    )
    assert beside[1::2] == alone


def test_rows_that_end_early_take_their_branches_along(family_model, tokenizer, steer):
    model = family_model("qwen2")
    rows = [
        None,
        *(
            steer([1], alpha, 3, schedule={"kind": "dac", "top_p": 0.7}, norm=2.0)
            for alpha in (-2.0, 1.0, 2.0)
        ),
    ]
    generator = SteeredGenerator(model, tokenizer, 64, [row for row in rows if row])
    requests = steered_requests(requests_for([*PROMPTS, "Place it between"], 1), rows)
    free = complete(generator, requests, SamplingBlock(max_new_tokens=12), [], 0)
    strengths = dict(generator.strengths)
    stops = sorted(
        {letter for made in free[1::3] for letter in made.text[1:5] if letter.isalnum() and letter.isascii()}
    )
    stopped = complete(generator, requests, SamplingBlock(max_new_tokens=12), stops, 0)
    assert len({len(made.token_ids) for made in stopped}) > 3, (
        "the batch must shrink for this test to mean anything"
    )
    for place, (before, after) in enumerate(zip(free, stopped, strict=True)):
        assert before.token_ids[: len(after.token_ids)] == after.token_ids
        if requests[place].steer:
            count = len(after.token_ids)
            assert generator.strengths[place][:count] == pytest.approx(strengths[place][:count], abs=1e-4)
