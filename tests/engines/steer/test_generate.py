import copy
from contextlib import contextmanager

import pytest
import torch

from engines.generation.cache import CachedGenerator
from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
from engines.generation.lengths import LengthHistory
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError
from engines.steer.generate import SteeredGenerator, steered_requests
from engines.steer.hooks import steered

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gpt2", "gptj", "falcon")
PROMPTS = ["Tom has 12 apples", "He has 12 + 30 = 42 apples. Each box", "0 1 2 3", "Place it between"]
GREEDY = SamplingBlock(max_new_tokens=12)


@contextmanager
def shapes_of(model):
    """The shapes of all inputs that the model is given."""
    seen = []
    hook = lambda _module, _args, kwargs: seen.append(tuple(kwargs["input_ids"].shape))  # noqa: E731
    handle = model.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


def tokens(generator, requests, sampling=GREEDY, seed=0, stop=()):
    return [made.token_ids for made in complete(generator, requests, sampling, list(stop), seed)]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_row_is_what_transformers_generates_under_its_own_steering(
    family_model, tokenizer, steer, family
):
    model = family_model(family)
    rows = [steer([1], 4.0), None, steer([0, 2], -4.0, 1), steer([2], 5.0, 2, where={"prompt": "all"})]
    generator = SteeredGenerator(model, tokenizer, 16, [row for row in rows if row])
    ours = tokens(generator, steered_requests(requests_for(PROMPTS, 1), rows))
    for place, made in enumerate(ours):
        inputs = tokenizer(PROMPTS[place // len(rows)], return_tensors="pt", add_special_tokens=False)
        with steered(model, [rows[place % len(rows)]], inputs["attention_mask"]):
            reference = model.generate(**inputs, max_new_tokens=12, do_sample=False)
        assert made == reference[0, inputs["input_ids"].shape[1] :].tolist()
    assert len({tuple(made) for made in ours[:4]}) > 2, (
        "steering must change something for this test to mean anything"
    )


@pytest.mark.parametrize(
    "sampling", [GREEDY, SamplingBlock(temperature=0.8, max_new_tokens=12, num_samples=2)]
)
def test_strength_zero_gives_what_the_unsteered_generator_gives(family_model, tokenizer, steer, sampling):
    model = family_model("llama")
    requests = requests_for(PROMPTS, sampling.num_samples)
    zero = steer([1, 2], 0.0)
    generator = SteeredGenerator(model, tokenizer, 8, [zero])
    plain = complete(HfGenerator(model, tokenizer, 8), requests, sampling, [], 3)
    assert complete(generator, requests, sampling, [], 3) == plain
    assert complete(generator, steered_requests(requests, [zero]), sampling, [], 3) == plain
    assert complete(SteeredGenerator(model, tokenizer, 8, default=zero), requests, sampling, [], 3) == plain


def test_prompts_are_read_once_for_all_strengths(family_model, tokenizer, steer):
    model = family_model("llama")
    rows = [None, *(steer([1], alpha) for alpha in (-2.0, 1.0, 2.0))]
    generator = SteeredGenerator(model, tokenizer, 16, [row for row in rows if row])
    with shapes_of(model) as shapes:
        tokens(generator, steered_requests(requests_for(PROMPTS, 1), rows))
    longest = max(len(tokenizer(prompt)["input_ids"]) for prompt in PROMPTS)
    assert shapes[0] == (4, longest - 1) and shapes[1] == (16, 1)


def test_a_prompt_that_is_steered_itself_is_read_for_each_steering(family_model, tokenizer, steer):
    model = family_model("llama")
    rows = [None, steer([1], 1.0, where={"prompt": "all"}), steer([1], 2.0, where={"prompt": "all"})]
    generator = SteeredGenerator(model, tokenizer, 24, [row for row in rows if row])
    with shapes_of(model) as shapes:
        tokens(generator, steered_requests(requests_for(PROMPTS, 2), rows))
    assert shapes[0][0] == 12 and shapes[1] == (24, 1)


def test_a_common_beginning_is_read_once_and_changes_nothing(family_model, tokenizer, steer):
    model = family_model("llama")
    prompts = [
        f"Place it between 1 and 2. Then, provide your solution between 3 and 4.{rest}"
        for rest in ("?", *PROMPTS)
    ]
    prompts.append(prompts[0][:-1] + "!")
    rows = [steer([1], 3.0), steer([2], -3.0, 1), None]
    generator = SteeredGenerator(model, tokenizer, 64, [row for row in rows if row])
    with shapes_of(model) as shapes:
        together = tokens(generator, steered_requests(requests_for(prompts, 1), rows))
    alone = [tokens(generator, steered_requests(requests_for([prompt], 1), rows)) for prompt in prompts]
    assert together == [made for group in alone for made in group]
    assert shapes[0][0] == 1 and shapes[1][1] < 30


def test_strength_zero_reads_a_common_beginning_in_the_shapes_of_the_unsteered_generator(
    family_model, tokenizer, steer
):
    model, zero = family_model("llama"), steer([1], 0.0)
    beginning = "Place it between 1 and 2. Then, provide your solution between 3 and 4."
    requests = requests_for([beginning + rest for rest in PROMPTS], 1)
    with shapes_of(model) as plain:
        expected = tokens(HfGenerator(model, tokenizer, 8), requests)
    with shapes_of(model) as ours:
        assert (
            tokens(SteeredGenerator(model, tokenizer, 8, [zero]), steered_requests(requests, [zero]))
            == expected
        )
    assert ours == plain and plain[0][0] == 1


def test_a_common_beginning_that_is_steered_is_read_for_each_steering(family_model, tokenizer, steer):
    model = family_model("llama")
    beginning = "Place it between 1 and 2. Then, provide your solution between 3 and 4."
    prompts = [beginning + rest for rest in PROMPTS]
    rows = [
        steer([1], 4.0, where={"prompt": "all"}),
        steer([0], -4.0, 1, where={"prompt": "window", "prompt_window": (1, 9)}),
        None,
    ]
    generator = SteeredGenerator(model, tokenizer, 64, [row for row in rows if row])
    together = tokens(generator, steered_requests(requests_for(prompts, 1), rows))
    for place, made in enumerate(together):
        inputs = tokenizer(prompts[place // len(rows)], return_tensors="pt", add_special_tokens=False)
        with steered(model, [rows[place % len(rows)]], inputs["attention_mask"]):
            reference = model.generate(**inputs, max_new_tokens=12, do_sample=False)
        assert made == reference[0, inputs["input_ids"].shape[1] :].tolist()


def test_rows_that_stop_early_leave_the_others_their_steering(family_model, tokenizer, steer):
    model = family_model("qwen2")
    rows = [steer([1], float(alpha), 4) for alpha in (-4, -2, 2, 4)]
    generator = SteeredGenerator(model, tokenizer, 64, rows)
    requests = steered_requests(requests_for(PROMPTS, 1), rows)
    free = complete(generator, requests, GREEDY, [], 0)
    stops = sorted(
        {letter for made in free[::3] for letter in made.text[2:5] if letter.isalnum() and letter.isascii()}
    )
    stopped = complete(generator, requests, GREEDY, stops, 0)
    assert len({len(made.token_ids) for made in stopped}) > 3, (
        "the batch must shrink for this test to mean anything"
    )
    assert all(before.text.startswith(after.text) for before, after in zip(free, stopped, strict=True))


def test_the_batch_size_changes_nothing(family_model, tokenizer, steer):
    model = family_model("gemma2")
    rows = [
        steer([1], 3.0),
        None,
        steer([3], -3.0, 1),
        steer([1], 1.0, schedule={"kind": "dac"}, site="o_proj_in"),
    ]
    sampling = SamplingBlock(temperature=0.8, max_new_tokens=8, num_samples=2)
    requests = steered_requests(requests_for(PROMPTS, 2), rows)
    made = [
        tokens(SteeredGenerator(model, tokenizer, size, [row for row in rows if row]), requests, sampling)
        for size in (1, 5, 64)
    ]
    assert made[0] == made[1] == made[2]


def test_running_out_of_memory_changes_nothing(family_model, tokenizer, steer):
    model = family_model("llama")
    rows = [steer([1], 3.0), steer([2], 1.0, schedule={"kind": "dac"}), None]
    generator = SteeredGenerator(model, tokenizer, 64, [row for row in rows if row])
    requests = steered_requests(requests_for(PROMPTS, 1), rows)
    expected, strengths = tokens(generator, requests), dict(generator.strengths)
    calls = []

    def only_four_fit(_module, _args, kwargs):
        calls.append(len(kwargs["input_ids"]))
        if calls[-1] > 8 and len(calls) % 5 == 0:
            raise torch.OutOfMemoryError("no room")

    handle = model.register_forward_pre_hook(only_four_fit, with_kwargs=True)
    try:
        assert tokens(generator, requests) == expected
    finally:
        handle.remove()
    assert max(calls) == 12 and calls[-1] < 12
    assert {index: len(found) for index, found in generator.strengths.items()} == {
        index: len(found) for index, found in strengths.items()
    }


def test_the_cache_of_completions_tells_steerings_apart(family_model, tokenizer, steer, tmp_path):
    model = family_model("llama")
    rows = [None, steer([1], 4.0), steer([1], -4.0)]
    inner = SteeredGenerator(model, tokenizer, 16, rows[1:])
    cached = CachedGenerator(inner, "x", tmp_path, LengthHistory(tmp_path))
    requests = steered_requests(requests_for(PROMPTS, 1), rows)
    expected = tokens(inner, requests)
    assert tokens(cached, requests[::3]) == expected[::3]
    assert tokens(cached, requests) == expected and cached.found == 4
    assert tokens(cached, requests) == expected and cached.found == 16


def test_a_default_steers_whoever_asks_for_nothing_and_is_part_of_the_identity(
    family_model, tokenizer, steer
):
    model, row = family_model("llama"), steer([1], 4.0)
    default = SteeredGenerator(model, tokenizer, 8, default=row)
    named = SteeredGenerator(model, tokenizer, 8, [row])
    requests = requests_for(PROMPTS, 1)
    assert (
        tokens(default, requests)
        == tokens(named, steered_requests(requests, [row]))
        != tokens(named, requests)
    )
    assert row.key in default.identity and default.identity != named.identity


def test_a_generator_that_cannot_steer_refuses_rather_than_answers_unsteered(family_model, tokenizer, steer):
    model, row = family_model("llama"), steer([1], 4.0)
    requests = steered_requests(requests_for(PROMPTS, 1), [row])
    with pytest.raises(RecipeError, match="cannot steer"):
        tokens(HfGenerator(model, tokenizer, 8), requests)
    with pytest.raises(RecipeError, match="is known here"):
        tokens(SteeredGenerator(model, tokenizer, 8), requests)


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_rows_are_bitwise_their_like(family_model, steer, family):
    model = copy.deepcopy(family_model(family)).to(torch.bfloat16)
    ids, mask = (
        torch.tensor([[3, 20, 30], [10, 41, 51], [7, 8, 9]]),
        torch.tensor([[0, 1, 1], [1, 1, 1], [1, 1, 1]]),
    )
    rows = [steer([1], 1.5, 1), None, steer([2], 0.0, 2)]

    def run():
        return model(
            input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp(min=0)
        ).logits

    plain = run()
    with steered(model, rows, mask):
        mixed = run()
    with steered(model, rows[:1] * 3, mask):
        assert torch.equal(run()[0], mixed[0])
    assert torch.equal(mixed[1:], plain[1:]) and not torch.equal(mixed[0], plain[0])


def test_what_is_asked_for_twice_or_by_two_names_of_nothing_is_generated_once(family_model, tokenizer, steer):
    model, row = family_model("llama"), steer([1], 4.0)
    dac = steer([2], 1.0, schedule={"kind": "dac"})
    rows = [None, steer([1], 0.0), steer([2], 0.0), row, row, dac, dac]
    generator = SteeredGenerator(model, tokenizer, 64, rows[1:])
    with shapes_of(model) as shapes:
        made = tokens(generator, steered_requests(requests_for(PROMPTS, 1), rows))
    strengths = generator.strengths
    assert max(rows for rows, _ in shapes) == 3 * len(PROMPTS)
    plain = tokens(generator, requests_for(PROMPTS, 1))
    steered_ones = tokens(generator, steered_requests(requests_for(PROMPTS, 1), [row]))
    assert made[0::7] == made[1::7] == made[2::7] == plain
    assert made[3::7] == made[4::7] == steered_ones != plain
    assert sorted(strengths) == [place for place in range(28) if place % 7 > 4]
    assert all(strengths[place] == strengths[place + 1] for place in range(5, 28, 7))
