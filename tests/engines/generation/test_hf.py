import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engines.generation.hf import generate
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError

PROMPTS = [
    "Tom has 12 apples",
    "?",
    "He has 12 + 30 = 42 apples. Each box holds 6 eggs, so 5 boxes",
    "Place it between",
    "0 1 2 3 4 5 6 7 8 9 10",
]
GREEDY = SamplingBlock(max_new_tokens=40)
SAMPLED = SamplingBlock(temperature=0.9, top_p=0.95, top_k=50, max_new_tokens=20, num_samples=3)


@pytest.fixture(scope="module")
def loaded(tiny_model):
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    return model, AutoTokenizer.from_pretrained(tiny_model, padding_side="left")


def texts(results):
    return [[completion.text for completion in samples] for samples in results]


def test_a_batch_gives_what_single_prompts_give(loaded):
    model, tokenizer = loaded
    together = generate(model, tokenizer, PROMPTS, GREEDY, [], 0, batch_size=8)
    alone = [generate(model, tokenizer, [prompt], GREEDY, [], 0, batch_size=1)[0] for prompt in PROMPTS]
    assert together == alone


def test_greedy_tokens_equal_those_of_transformers_generate(loaded):
    model, tokenizer = loaded
    ours = generate(model, tokenizer, PROMPTS, GREEDY, [], 0, batch_size=8)
    for prompt, [completion] in zip(PROMPTS, ours, strict=True):
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        reference = model.generate(**inputs, max_new_tokens=40, do_sample=False)[
            0, inputs["input_ids"].shape[1] :
        ]
        assert completion.token_ids == reference.tolist()


def test_padding_is_on_the_left_whatever_the_tokenizer_says(loaded, tiny_model):
    model, tokenizer = loaded
    right = AutoTokenizer.from_pretrained(tiny_model, padding_side="right")
    assert generate(model, right, PROMPTS, GREEDY, [], 0, 8) == generate(
        model, tokenizer, PROMPTS, GREEDY, [], 0, 8
    )


def test_text_ends_right_after_the_stop_string_and_counts_as_terminated(loaded):
    model, tokenizer = loaded
    free = generate(model, tokenizer, PROMPTS, GREEDY, [], 0, batch_size=8)
    stop = free[0][0].text[12:15]
    stopped = generate(model, tokenizer, PROMPTS, GREEDY, [stop], 0, batch_size=8)
    for [before], [after] in zip(free, stopped, strict=True):
        if stop in before.text:
            assert after.text == before.text[: before.text.index(stop) + len(stop)]
            assert after.terminated and after.finish_reason == "stop"
            assert len(after.token_ids) <= len(before.token_ids)
        else:
            assert after == before


def test_rows_that_stop_early_leave_the_others_as_they_were(loaded):
    model, tokenizer = loaded
    prompts = [f"{prompt} {number}" for prompt in PROMPTS for number in range(6)]
    free = generate(model, tokenizer, prompts, GREEDY, [], 0, batch_size=30)
    stops = sorted({samples[0].text[2:3] for samples in free[::2]})
    stopped = generate(model, tokenizer, prompts, GREEDY, stops, 0, batch_size=30)
    lengths = {len(samples[0].token_ids) for samples in stopped}
    assert len(lengths) > 3, "the batch must shrink several times for this test to mean anything"
    for [before], [after] in zip(free, stopped, strict=True):
        assert before.text.startswith(after.text)


@pytest.mark.parametrize("kind", ["tokenizer", "generation_config", "config"])
def test_every_end_token_ends_a_completion(loaded, tiny_model, kind):
    model, tokenizer = loaded
    [[free]] = generate(model, tokenizer, PROMPTS[:1], GREEDY, [], 0, batch_size=1)
    end = free.token_ids[5]
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    if kind == "tokenizer":
        tokenizer.eos_token_id = end
    elif kind == "generation_config":
        model.generation_config.eos_token_id = [tokenizer.eos_token_id, end]
    else:
        model.config.eos_token_id = end
    [[ended]] = generate(model, tokenizer, PROMPTS[:1], GREEDY, [], 0, batch_size=1)
    assert ended.terminated and ended.token_ids[-1] == end
    assert ended.text == tokenizer.decode(ended.token_ids[:-1])


def test_length_limit_is_not_termination(loaded):
    model, tokenizer = loaded
    [[cut]] = generate(model, tokenizer, PROMPTS[:1], SamplingBlock(max_new_tokens=3), [], 0, batch_size=1)
    assert (cut.terminated, cut.finish_reason, len(cut.token_ids)) == (False, "length", 3)


def test_samples_repeat_with_the_seed_and_do_not_depend_on_the_batch_size(loaded):
    model, tokenizer = loaded
    first = generate(model, tokenizer, PROMPTS, SAMPLED, [], 1, batch_size=16)
    assert first == generate(model, tokenizer, PROMPTS, SAMPLED, [], 1, batch_size=4)
    assert first[2] == generate(model, tokenizer, PROMPTS[2:3], SAMPLED, [], 1, batch_size=1)[0]
    assert texts(first) != texts(generate(model, tokenizer, PROMPTS, SAMPLED, [], 2, batch_size=16))
    assert all(len({completion.text for completion in samples}) == 3 for samples in first)


def test_equal_prompts_in_one_list_get_samples_of_their_own(loaded):
    model, tokenizer = loaded
    one, two = generate(model, tokenizer, ["Tom has", "Tom has"], SAMPLED, [], 1, batch_size=8)
    assert [completion.text for completion in one] != [completion.text for completion in two]


def test_running_out_of_memory_halves_the_batch_and_changes_nothing(loaded):
    model, tokenizer = loaded
    expected = generate(model, tokenizer, PROMPTS, GREEDY, [], 0, batch_size=8)
    sizes = []

    def only_two_fit(_module, _args, kwargs):
        sizes.append(len(kwargs["input_ids"]))
        # Failing late as well: a half-decoded batch must start over clean.
        if sizes[-1] > 2 and len(sizes) % 3 == 0:
            raise torch.OutOfMemoryError("no room")

    handle = model.register_forward_pre_hook(only_two_fit, with_kwargs=True)
    try:
        assert generate(model, tokenizer, PROMPTS, GREEDY, [], 0, batch_size=8) == expected
    finally:
        handle.remove()
    assert max(sizes) == 5 and sizes[-1] <= 2


def test_a_single_prompt_that_does_not_fit_is_an_error_with_a_hint(loaded):
    model, tokenizer = loaded

    def nothing_fits(_module, _args, _kwargs):
        raise torch.OutOfMemoryError("no room")

    handle = model.register_forward_pre_hook(nothing_fits, with_kwargs=True)
    try:
        with pytest.raises(RecipeError, match="out of memory"):
            generate(model, tokenizer, PROMPTS, GREEDY, [], 0, batch_size=4)
    finally:
        handle.remove()


def test_a_prompt_beyond_the_context_is_refused(loaded):
    model, tokenizer = loaded
    with pytest.raises(RecipeError, match="context of 1024 tokens"):
        generate(model, tokenizer, PROMPTS, SamplingBlock(max_new_tokens=1020), [], 0, batch_size=4)


def test_progress_counts_completions_up_to_the_total(loaded):
    model, tokenizer = loaded
    calls = []
    generate(model, tokenizer, PROMPTS, SAMPLED, [], 0, 4, lambda done, total: calls.append((done, total)))
    assert calls == [(4, 15), (8, 15), (12, 15), (15, 15)]


def test_no_prompts_give_no_completions(loaded):
    assert generate(*loaded, [], GREEDY, [], 0, batch_size=4) == []


def test_a_model_in_training_stays_in_training_and_can_go_on(tiny_model, loaded):
    model = AutoModelForCausalLM.from_pretrained(tiny_model).train()
    tokenizer = loaded[1]
    generate(model, tokenizer, PROMPTS[:2], SamplingBlock(max_new_tokens=4), [], 0, batch_size=2)
    assert model.training
    ids = torch.tensor([[5, 6, 7]])
    model(input_ids=ids, labels=ids).loss.backward()


@pytest.mark.parametrize("family", ["gemma3", "gpt2", "qwen2"])
def test_other_architectures_agree_with_transformers_generate(loaded, family):
    from transformers import (
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        GPT2Config,
        GPT2LMHeadModel,
        Qwen2Config,
        Qwen2ForCausalLM,
    )

    tokenizer = loaded[1]
    common = {"vocab_size": 512, "eos_token_id": 2, "pad_token_id": 3, "bos_token_id": None}
    small = {
        **common,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    torch.manual_seed(1)
    if family == "gemma3":  # sliding-window layers, narrower than the prompts
        config = Gemma3TextConfig(
            **small, num_key_value_heads=1, head_dim=16, sliding_window=8, initializer_range=0.5
        )
        config.layer_types = ["sliding_attention", "full_attention"]
        model = Gemma3ForCausalLM(config)
    elif family == "gpt2":  # learned positions
        model = GPT2LMHeadModel(GPT2Config(**common, n_embd=32, n_layer=2, n_head=2, initializer_range=0.5))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**small, num_key_value_heads=1, initializer_range=0.5))
    model.eval()
    free = generate(model, tokenizer, PROMPTS, GREEDY, [], 0, batch_size=8)
    stop = free[0][0].text[6:7]  # rows end at different steps, so that the batch shrinks on the way
    ours = generate(model, tokenizer, PROMPTS, GREEDY, [stop], 0, batch_size=8)
    for prompt, [completion] in zip(PROMPTS, ours, strict=True):
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        reference = model.generate(**inputs, max_new_tokens=40, do_sample=False)[
            0, inputs["input_ids"].shape[1] :
        ]
        assert completion.token_ids == reference.tolist()[: len(completion.token_ids)]
