import copy

import pytest
import torch

from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError
from engines.steer.draft import DraftingGenerator, Tally
from engines.steer.generate import SteeredGenerator, steered_requests

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gpt2", "gptj", "falcon")
PROMPTS = ["Tom has 12 apples", "He has 12 + 30 = 42 apples. Each box", "0 1 2 3", "Place it between"]
GREEDY = SamplingBlock(max_new_tokens=12)
ALPHAS = (0.0, 1e-6, 0.5, -0.5, 2.0, -4.0, 8.0)


def widths(model):
    """The numbers of columns of all inputs that the model is given, and what ends the listening."""
    seen = []
    hook = lambda _module, _args, kwargs: seen.append(kwargs["input_ids"].shape[1])  # noqa: E731
    return seen, model.register_forward_pre_hook(hook, with_kwargs=True)


def drafts_of(model, tokenizer, sampling=GREEDY, stop=()):
    made = complete(HfGenerator(model, tokenizer, 8), requests_for(PROMPTS, 1), sampling, list(stop), 0)
    return {prompt: one.token_ids for prompt, one in zip(PROMPTS, made, strict=True)}


def both(model, tokenizer, rows, drafts, sampling=GREEDY, stop=(), size=16):
    """Completions without drafts and with them, and the generator that had them."""
    named = [row for row in rows if row is not None]
    requests = steered_requests(requests_for(PROMPTS, 1), rows)
    drafting = DraftingGenerator(model, tokenizer, size, drafts, steerings=named)
    plain = complete(SteeredGenerator(model, tokenizer, size, named), requests, sampling, list(stop), 0)
    return plain, complete(drafting, requests, sampling, list(stop), 0), drafting


@pytest.mark.parametrize("family", FAMILIES)
def test_with_drafts_the_completions_are_those_of_plain_steered_generation(
    family_model, tokenizer, steer, family
):
    model = family_model(family)
    rows = [None, *(steer([1], alpha) for alpha in ALPHAS), steer([0, 2], 3.0, 1, where={"prompt": "all"})]
    plain, drafted, generator = both(model, tokenizer, rows, drafts_of(model, tokenizer))
    assert drafted == plain
    kept = {alpha: generator.tallies.get(row.key) for alpha, row in zip(ALPHAS, rows[1:], strict=False)}
    if family == "gemma2":  # its windows count columns
        assert not any(tally and tally.offered for tally in kept.values())
    else:
        assert kept[1e-6].kept == kept[1e-6].offered == 48
        assert any(0 < tally.kept < tally.offered for tally in kept.values() if tally)


@pytest.mark.parametrize("size", [3, 64])
def test_rows_that_stop_within_their_drafts_or_after_them_end_where_they_would(
    family_model, tokenizer, steer, size
):
    model = family_model("qwen2")
    rows = [None, *(steer([1], alpha, 4) for alpha in (-4.0, -0.5, 0.5, 1.0, 4.0))]
    drafts = drafts_of(model, tokenizer)
    plain, _, _ = both(model, tokenizer, rows, drafts)
    letters = {letter for made in plain for letter in made.text[3:7] if letter.isalnum() and letter.isascii()}
    # Drafts made without the stop string run past it; those made with it are too short for rows that do not meet it.
    for stop in sorted(letters)[:2]:
        for known in (drafts, drafts_of(model, tokenizer, stop=[stop])):
            expected, found, _ = both(model, tokenizer, rows, known, stop=[stop], size=size)
            assert found == expected
            assert {made.terminated for made in found} == {True, False}


@pytest.mark.parametrize("tokens", [1, 2, 5])
def test_drafts_of_any_length_and_content_change_nothing(family_model, tokenizer, steer, tokens):
    model = family_model("llama")
    rows = [None, steer([1], 0.5), steer([2], -3.0, 1)]
    right = drafts_of(model, tokenizer)
    drafts = {PROMPTS[0]: right[PROMPTS[0]], PROMPTS[1]: [7] * 40, PROMPTS[2]: right[PROMPTS[2]][:1]}
    plain, drafted, _ = both(model, tokenizer, rows, drafts, SamplingBlock(max_new_tokens=tokens))
    assert drafted == plain


def test_a_draft_that_is_kept_whole_costs_two_passes(family_model, tokenizer, steer):
    model, rows = family_model("llama"), [steer([1], 1e-6), steer([2], 1e-6)]
    drafts = drafts_of(model, tokenizer)
    seen, handle = widths(model)
    generator = DraftingGenerator(model, tokenizer, 16, drafts, steerings=rows)
    complete(generator, steered_requests(requests_for(PROMPTS, 1), rows), GREEDY, [], 0)
    handle.remove()
    longest = max(len(tokenizer(prompt)["input_ids"]) for prompt in PROMPTS)
    assert seen == [longest - 1, 12]


def test_a_steering_that_keeps_little_is_no_longer_given_drafts(family_model, tokenizer, steer):
    model, row = family_model("llama"), steer([1], 8.0)
    drafts, requests = drafts_of(model, tokenizer), steered_requests(requests_for(PROMPTS, 1), [row])
    generator = DraftingGenerator(model, tokenizer, 1, drafts, steerings=[row])
    while (before := generator.tallies.get(row.key, Tally())).is_worth_it:
        offered = before.offered
        complete(generator, requests, GREEDY, [], 0)
        assert generator.tallies[row.key].offered > offered
    offered = generator.tallies[row.key].offered
    expected = complete(SteeredGenerator(model, tokenizer, 1, [row]), requests, GREEDY, [], 0)
    assert complete(generator, requests, GREEDY, [], 0) == expected
    assert generator.tallies[row.key].offered == offered


def test_what_counts_columns_or_is_sampled_is_generated_as_ever(family_model, tokenizer, steer):
    model = family_model("llama")
    rows = [
        steer([1], 3.0, schedule={"kind": "first_k", "steps": 3}),
        steer([1], 3.0, where={"generation": "window", "generation_window": (2, 6)}),
        steer([2], 1.0, schedule={"kind": "dac"}),
        steer([1], 1e-6),
    ]
    drafts = drafts_of(model, tokenizer)
    for chosen in (rows, rows[:2] + rows[3:]):
        plain, drafted, generator = both(model, tokenizer, chosen, drafts)
        assert drafted == plain
        assert not any(generator.tallies[row.key].offered for row in chosen[:2])
    sampling = SamplingBlock(temperature=0.8, max_new_tokens=12)
    plain, drafted, generator = both(model, tokenizer, rows[3:], drafts, sampling)
    assert drafted == plain and not generator.tallies


def test_running_out_of_memory_over_drafts_changes_nothing(family_model, tokenizer, steer):
    model, rows = family_model("llama"), [steer([1], 0.5), steer([2], -2.0)]
    drafts = drafts_of(model, tokenizer)
    plain, _, _ = both(model, tokenizer, rows, drafts)

    def only_four_fit(_module, _args, kwargs):
        if len(kwargs["input_ids"]) > 4:
            raise torch.OutOfMemoryError("no room")

    handle = model.register_forward_pre_hook(only_four_fit, with_kwargs=True)
    try:
        generator = DraftingGenerator(model, tokenizer, 16, drafts, steerings=rows)
        requests = steered_requests(requests_for(PROMPTS, 1), rows)
        assert complete(generator, requests, GREEDY, [], 0) == plain
    finally:
        handle.remove()


def test_drafts_are_refused_where_they_are_not_exact(family_model, tokenizer):
    model = copy.deepcopy(family_model("llama")).to(torch.bfloat16)
    with pytest.raises(RecipeError, match="not exact in bfloat16"):
        DraftingGenerator(model, tokenizer, 8, {})
