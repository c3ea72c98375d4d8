import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
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


def generate(model, tokenizer, prompts, sampling, stop, seed, batch_size):
    """Completions as [prompt][sample]."""
    generator = HfGenerator(model, tokenizer, batch_size)
    samples = sampling.num_samples
    flat = complete(generator, requests_for(prompts, samples), sampling, stop, seed)
    return [flat[start : start + samples] for start in range(0, len(flat), samples)]


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
    stops = sorted(
        {
            letter
            for samples in free[::2]
            for letter in samples[0].text[2:5]
            if letter.isalnum() and letter.isascii()
        }
    )
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


def test_fewer_samples_are_the_first_of_more(loaded):
    model, tokenizer = loaded
    many = generate(model, tokenizer, PROMPTS, SAMPLED, [], 1, batch_size=16)
    few = generate(
        model, tokenizer, PROMPTS, SAMPLED.model_copy(update={"num_samples": 2}), [], 1, batch_size=3
    )
    assert few == [samples[:2] for samples in many]


def test_samples_of_one_prompt_share_one_forward_pass_over_it(loaded):
    model, tokenizer = loaded
    shapes = []
    hook = lambda _module, _args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape))  # noqa: E731
    handle = model.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        generate(model, tokenizer, PROMPTS[:2], SAMPLED, [], 1, batch_size=6)
    finally:
        handle.remove()
    assert shapes[0][0] == 2 and shapes[1] == (6, 1)


def test_what_all_prompts_begin_with_is_read_once_and_changes_nothing(loaded):
    model, tokenizer = loaded
    prompts = [
        f"Place it between 1 and 2. Then, provide your solution between 3 and 4.{rest}" for rest in PROMPTS
    ]
    alone = [generate(model, tokenizer, [prompt], GREEDY, [], 0, batch_size=1)[0] for prompt in prompts]
    shapes = []
    hook = lambda _module, _args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape))  # noqa: E731
    handle = model.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        together = generate(model, tokenizer, prompts, GREEDY, [], 0, batch_size=3)
    finally:
        handle.remove()
    assert together == alone
    read = [shape for shape in shapes if shape[1] > 1]
    assert len(read) == 3 and read[0][0] == 1 and read[0][1] > 16, "the beginning once, then two batches"


def test_rows_that_are_expected_to_be_long_share_a_batch(loaded):
    model, tokenizer = loaded
    expected = {PROMPTS[1]: 40.0, PROMPTS[3]: 30.0, PROMPTS[0]: 2.0}
    generator = HfGenerator(model, tokenizer, 2, expected_length=expected.get)
    order = [
        index for batch in generator.stream(requests_for(PROMPTS, 1), GREEDY, [], 0) for index, _ in batch
    ]
    # Those without a history are expected to be as long as the mean of the others, longest prompt first.
    assert order == [1, 3, 2, 4, 0]


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


def test_no_prompts_give_no_completions(loaded):
    assert generate(*loaded, [], GREEDY, [], 0, batch_size=4) == []


def test_a_model_in_training_stays_in_training_and_can_go_on(tiny_model, loaded):
    model = AutoModelForCausalLM.from_pretrained(tiny_model).train()
    tokenizer = loaded[1]
    generate(model, tokenizer, PROMPTS[:2], SamplingBlock(max_new_tokens=4), [], 0, batch_size=2)
    assert model.training
    ids = torch.tensor([[5, 6, 7]])
    model(input_ids=ids, labels=ids).loss.backward()


@pytest.mark.parametrize("family", ["gemma3", "gpt2", "gpt_neo", "qwen2", "mamba", "falcon_h1"])
@pytest.mark.parametrize("beginning", ["", "Place it between 1 and 2. Then, provide your solution: 3 and 4."])
def test_other_architectures_agree_with_transformers_generate(loaded, family, beginning):
    from transformers import (
        FalconH1Config,
        FalconH1ForCausalLM,
        Gemma3ForCausalLM,
        Gemma3TextConfig,
        GPT2Config,
        GPT2LMHeadModel,
        GPTNeoConfig,
        GPTNeoForCausalLM,
        MambaConfig,
        MambaForCausalLM,
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
    elif family == "gpt_neo":  # windows that its cache does not know of
        attention = {"attention_types": [[["global", "local"], 1]], "window_size": 8}
        options = {"hidden_size": 32, "num_layers": 2, "num_heads": 2, "initializer_range": 0.5}
        model = GPTNeoForCausalLM(GPTNeoConfig(**common, **options, **attention))
    elif family == "mamba":  # a recurrent state, handed over under another name
        options = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8, "initializer_range": 0.5}
        model = MambaForCausalLM(MambaConfig(**common, **options))
    elif family == "falcon_h1":  # attention and a recurrent state in the same layer
        state = {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8}
        config = FalconH1Config(
            **small, **state, mamba_chunk_size=16, num_key_value_heads=1, initializer_range=0.5
        )
        model = FalconH1ForCausalLM(config)
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**small, num_key_value_heads=1, initializer_range=0.5))
    model.eval()
    prompts = [beginning + prompt for prompt in PROMPTS]
    free = generate(model, tokenizer, prompts, GREEDY, [], 0, batch_size=8)
    stop = free[0][0].text[6:7]  # rows end at different steps, so that the batch shrinks on the way
    ours = generate(model, tokenizer, prompts, GREEDY, [stop], 0, batch_size=8)
    for prompt, [completion] in zip(prompts, ours, strict=True):
        inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
        reference = model.generate(**inputs, max_new_tokens=40, do_sample=False)[
            0, inputs["input_ids"].shape[1] :
        ]
        assert completion.token_ids == reference.tolist()[: len(completion.token_ids)]


@pytest.mark.parametrize("known", [True, False])
def test_a_model_whose_state_cannot_be_held_is_refused(loaded, monkeypatch, known):
    from transformers import RwkvConfig, RwkvForCausalLM

    from engines.generation import decoding

    if not known:
        monkeypatch.setattr(decoding, "_OWN_STATE", set())
    config = RwkvConfig(vocab_size=512, hidden_size=32, num_hidden_layers=2, eos_token_id=2)
    model = RwkvForCausalLM(config).eval()
    for prompts in (PROMPTS[:2], [PROMPTS[0]] * 2):
        with pytest.raises(RecipeError, match="a `rwkv` model keeps what it has read"):
            complete(HfGenerator(model, loaded[1]), requests_for(prompts, 1), GREEDY, [], 0)


@pytest.mark.parametrize("sampling", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
def test_a_model_that_has_diverged_is_told_and_not_drawn_from(loaded, tiny_model, sampling):
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.lm_head.weight.data[7] = float("nan")
    with pytest.raises(RecipeError, match="logits are not numbers"):
        generate(model, loaded[1], PROMPTS, sampling, [], 0, batch_size=4)


def test_what_was_trained_in_between_is_generated_with_at_the_next_call(tiny_model, loaded):
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_model), loaded[1]
    model.gradient_checkpointing_enable()
    optimizer = torch.optim.SGD(model.train().parameters(), lr=0.5)
    generator = HfGenerator(model, tokenizer, batch_size=4)
    requests = requests_for([f"Place it between 1 and 2. Then, provide{rest}" for rest in PROMPTS], 1)
    before = complete(generator, requests, GREEDY, [], 0)
    ids = torch.tensor([tokenizer("Tom has 12 apples and buys 30 more")["input_ids"]])
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    after = complete(generator, requests, GREEDY, [], 0)
    assert model.training and after != before
    fresh = AutoModelForCausalLM.from_pretrained(tiny_model)
    fresh.load_state_dict(model.state_dict())
    assert complete(HfGenerator(fresh.eval(), tokenizer, 4), requests, GREEDY, [], 0) == after
