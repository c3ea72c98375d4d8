"""vLLM alone: adapters, samples in one request, and what it cannot do. `make test-vllm` installs it and runs this."""

import shutil
from importlib.util import find_spec

import pytest
import torch

from engines.generation.generator import Request, complete, requests_for
from engines.generation.hf import HfGenerator
from engines.generation.open import open_generator
from engines.modeling.loading import load_tokenizer
from engines.modeling.sources import POCKET, resolve
from engines.recipe.blocks import GenerationBlock, ModelBlock, SamplingBlock
from engines.recipe.errors import RecipeError

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: `make test-vllm`"),
]

PROMPTS = ["Tom has 12 apples", "?", "He has 12 + 30 = 42 apples. Each box holds 6 eggs, so 5 boxes"]
GREEDY = SamplingBlock(max_new_tokens=24)
SAMPLED = SamplingBlock(temperature=0.9, max_new_tokens=12)
CPU = torch.device("cpu")


def opened(model, run, **fields):
    block = ModelBlock(base=str(model))
    generation = GenerationBlock(backend="vllm", cache=False, **fields)
    return open_generator(block, generation, run, tokenizer=load_tokenizer(block, run), device=CPU)


@pytest.fixture(scope="module")
def adapters(tiny_model, tmp_path_factory):
    """Two adapters of different rank on the tiny model, strong enough to change what it says."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = []
    for rank in (4, 8):
        torch.manual_seed(rank)
        config = LoraConfig(r=rank, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.05)
        directory = tmp_path_factory.mktemp("adapters") / f"rank{rank}"
        model.save_pretrained(directory)
        AutoTokenizer.from_pretrained(tiny_model).save_pretrained(directory)
        made.append(directory)
    return made


def test_an_adapter_says_what_peft_says(adapters, make_run, tiny_model):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    requests = requests_for(PROMPTS, 1)
    base = complete(
        HfGenerator(AutoModelForCausalLM.from_pretrained(tiny_model), tokenizer), requests, GREEDY, [], 0
    )
    seen = [[completion.token_ids for completion in base]]
    for adapter in adapters:
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_model), adapter)
        expected = complete(HfGenerator(model, tokenizer), requests, GREEDY, [], 0)
        generator = opened(adapter, make_run(adapter.name))
        assert complete(generator, requests, GREEDY, [], 0) == expected
        generator.close()
        seen.append([completion.token_ids for completion in expected])
    assert seen[0] != seen[1] != seen[2] != seen[0]


def test_an_adapter_that_is_saved_again_has_another_name(adapters, make_run, tmp_path):
    from engines.generation.vllm import _lora_request

    here = tmp_path / "adapter"
    shutil.copytree(adapters[0], here)
    run = make_run()
    first = _lora_request(resolve(ModelBlock(base=str(here)), run))
    shutil.copytree(adapters[1], here, dirs_exist_ok=True)
    second = _lora_request(resolve(ModelBlock(base=str(here)), run))
    assert first.lora_name != second.lora_name and first.lora_int_id != second.lora_int_id


@pytest.fixture(scope="module")
def generator(tiny_model, tmp_path_factory):
    from engines.events import EventWriter
    from engines.run import Run

    directory = tmp_path_factory.mktemp("vllm")
    made = opened(tiny_model, Run(dir=directory, events=EventWriter(directory), seed=0))
    yield made
    made.close()


def test_samples_of_a_prompt_are_one_request_to_the_engine(generator):
    complete(generator, requests_for(PROMPTS[:1], 1), SAMPLED, [], 0)
    engine = generator._llm.llm_engine
    asked = []
    add = engine.add_request

    def watched(number, prompt, parameters, **rest):
        asked.append(parameters.n)
        return add(number, prompt, parameters, **rest)

    engine.add_request = watched
    try:
        complete(generator, requests_for(PROMPTS, 4), SAMPLED, [], 0)
    finally:
        engine.add_request = add
    assert asked == [4, 4, 4]


def test_samples_repeat_with_the_seed_whenever_they_are_asked_for(generator):
    together = complete(generator, requests_for(PROMPTS, 4), SAMPLED, [], 5)
    assert complete(generator, requests_for(PROMPTS, 4), SAMPLED, [], 5) == together
    later = complete(generator, [Request(PROMPTS[0], 3), Request(PROMPTS[0], 1)], SAMPLED, [], 5)
    assert later == [together[3], together[1]]
    other = complete(generator, requests_for(PROMPTS, 4), SAMPLED, [], 6)
    assert [completion.text for completion in other] != [completion.text for completion in together]


def test_samples_follow_the_distribution_of_the_model(generator, tiny_model):
    from transformers import AutoModelForCausalLM

    sampling = SamplingBlock(temperature=0.7, top_k=5, max_new_tokens=1)
    done = complete(generator, requests_for(PROMPTS[:1], 2000), sampling, [], 0)
    drawn = torch.tensor([completion.token_ids[0] for completion in done])
    ids = generator.tokenizer(PROMPTS[:1], add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(tiny_model)(input_ids=ids).logits[0, -1] / 0.7
    likely = logits.topk(5)
    for share, token in zip(likely.values.softmax(dim=-1), likely.indices, strict=True):
        assert (drawn == token).float().mean().item() == pytest.approx(share.item(), abs=0.04)
    assert set(drawn.tolist()) <= set(likely.indices.tolist())


def test_a_longer_prompt_than_before_gets_the_context_it_needs(generator):
    complete(generator, [Request("?")], GREEDY, [], 0)
    long = "0 1 2 3 4 5 6 7 8 9 " * 40
    [completion] = complete(generator, [Request(long)], SamplingBlock(max_new_tokens=4), [], 0)
    assert len(completion.token_ids) <= 4


def test_requests_that_nobody_waits_for_any_more_are_given_up(generator):
    stream = generator.stream(
        requests_for(PROMPTS, 4), SamplingBlock(temperature=1.0, max_new_tokens=200), [], 0
    )
    next(stream)
    stream.close()
    assert not generator._llm.llm_engine.has_unfinished_requests()


def test_sampling_that_vllm_refuses_is_an_error_with_a_hint(generator):
    with pytest.raises(RecipeError, match=r"temperature must be in \[0, 2\]"):
        complete(generator, [Request("?")], SamplingBlock(temperature=5.0), [], 0)


def test_a_model_whose_heads_vllm_cannot_run_is_refused_before_it_is_loaded(make_run):
    with pytest.raises(RecipeError, match="attention heads of 24 dimensions"):
        complete(opened(POCKET, make_run()), [Request("?")], GREEDY, [], 0)
