"""One contract for every back end. Those that are not installed are skipped, and say so."""

from importlib.util import find_spec

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from engines.generation.generator import Request, complete, requests_for
from engines.generation.hf import HfGenerator
from engines.generation.open import open_generator
from engines.modeling.loading import load_tokenizer
from engines.modeling.tokens import end_token_ids
from engines.recipe.blocks import GenerationBlock, ModelBlock, SamplingBlock
from engines.recipe.errors import RecipeError

PROMPTS = [
    "Tom has 12 apples",
    "?",
    "He has 12 + 30 = 42 apples. Each box holds 6 eggs, so 5 boxes",
    "Place it between",
    "0 1 2 3 4 5 6 7 8 9 10",
]
GREEDY = SamplingBlock(max_new_tokens=24)
SAMPLED = SamplingBlock(temperature=0.9, top_p=0.95, top_k=50, max_new_tokens=12, num_samples=4)
BACK_ENDS = [
    "hf",
    "hf-continuous",
    pytest.param(
        "vllm",
        marks=[
            pytest.mark.vllm,
            pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: `make test-vllm`"),
        ],
    ),
]


@pytest.fixture(scope="module")
def reference(tiny_model):
    """The same model in memory, generating one prompt at a time."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    return HfGenerator(model, tokenizer, batch_size=1)


@pytest.fixture(scope="module", params=BACK_ENDS)
def generator(request, tiny_model, tmp_path_factory):
    from engines.events import EventWriter
    from engines.run import Run

    directory = tmp_path_factory.mktemp(request.param)
    run = Run(dir=directory, events=EventWriter(directory), seed=0)
    block = ModelBlock(base=str(tiny_model))
    generation = GenerationBlock(backend=request.param, batch_size=8, cache=False)
    opened = open_generator(
        block, generation, run, tokenizer=load_tokenizer(block, run), device=torch.device("cpu")
    )
    yield opened
    opened.close()


def test_greedy_completions_are_those_of_the_model_alone(generator, reference):
    expected = complete(reference, requests_for(PROMPTS, 1), GREEDY, [], 0)
    assert complete(generator, requests_for(PROMPTS, 1), GREEDY, [], 0) == expected
    assert {completion.finish_reason for completion in expected} <= {"stop", "length"}


def test_a_stop_string_ends_the_text_and_counts_as_terminated(generator, reference):
    free = complete(reference, requests_for(PROMPTS, 1), GREEDY, [], 0)
    stop = free[0].text[9:12]
    assert any(stop in completion.text for completion in free)
    stopped = complete(generator, requests_for(PROMPTS, 1), GREEDY, [stop], 0)
    assert stopped == complete(reference, requests_for(PROMPTS, 1), GREEDY, [stop], 0)
    assert stopped[0].terminated and stopped[0].text.endswith(stop)
    assert len(stopped[0].token_ids) < len(free[0].token_ids)


def test_every_request_is_answered_once_and_samples_differ(generator):
    requests = requests_for(PROMPTS, SAMPLED.num_samples)
    places = [place for batch in generator.stream(requests, SAMPLED, [], 1) for place, _ in batch]
    assert sorted(places) == list(range(len(requests)))
    texts = [completion.text for completion in complete(generator, requests[:4], SAMPLED, [], 1)]
    assert len(set(texts)) > 1


def test_a_later_sample_alone_can_be_asked_for(generator):
    requests = [Request(PROMPTS[0], 2), Request(PROMPTS[1], 0)]
    completions = complete(generator, requests, SAMPLED, [], 1)
    assert all(0 < len(completion.token_ids) <= 12 for completion in completions)


def test_end_tokens_end_a_completion_and_stay_in_its_tokens_but_not_in_its_text(generator, reference):
    [free] = complete(reference, [Request(PROMPTS[0])], GREEDY, [], 0)
    assert not free.terminated, "this test needs a completion that goes on"
    sampled = SAMPLED.model_copy(update={"temperature": 2.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 150})
    tokenizer = reference.tokenizer
    ended = [
        completion
        for completion in complete(generator, requests_for(PROMPTS, 5), sampled, [], 3)
        if completion.terminated
    ]
    ends = end_token_ids(tokenizer, reference.model)
    assert ended and all(completion.token_ids[-1] in ends for completion in ended)
    assert all(tokenizer.eos_token not in completion.text for completion in ended)


def test_a_prompt_beyond_the_context_is_refused(generator):
    with pytest.raises(RecipeError, match="context of 1024 tokens"):
        complete(generator, requests_for(PROMPTS, 1), SamplingBlock(max_new_tokens=1020), [], 0)


def test_nothing_asked_is_nothing_done(generator):
    assert complete(generator, [], GREEDY, [], 0) == []


@pytest.mark.parametrize("family", ["bloom", "mamba"])
def test_what_transformers_cannot_batch_continuously_is_refused(tiny_model, family):
    from engines.generation.continuous import ContinuousGenerator

    config = AutoConfig.for_model(family, vocab_size=512, hidden_size=32, num_hidden_layers=2)
    with pytest.raises(RecipeError, match=f"a `{family}` model cannot be batched continuously"):
        ContinuousGenerator(
            AutoModelForCausalLM.from_config(config),
            AutoTokenizer.from_pretrained(tiny_model),
            GenerationBlock(backend="hf-continuous"),
        )
