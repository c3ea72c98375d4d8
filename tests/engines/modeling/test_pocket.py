import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from engines.generation.generator import complete, requests_for
from engines.generation.hf import HfGenerator
from engines.modeling.sources import POCKET
from engines.prompts.rendering import render_prompt
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock, TaskBlock
from engines.recipe.document import read_document
from engines.tasks.grading import grade
from engines.tasks.loading import load_examples

RECIPES = POCKET.parents[2] / "recipes"


@pytest.fixture(scope="module")
def pocket():
    return AutoModelForCausalLM.from_pretrained(POCKET), AutoTokenizer.from_pretrained(POCKET)


def greedy(pocket, prompts, length):
    sampling = SamplingBlock(max_new_tokens=length)
    return complete(HfGenerator(*pocket), requests_for(prompts, 1), sampling, stop=[], seed=0)


def test_all_its_files_together_are_small_and_the_recipe_is_beside_them():
    assert sum(path.stat().st_size for path in POCKET.iterdir()) < 6_000_000
    shipped = read_document(POCKET / "recipe.yaml").data
    assert shipped == read_document(RECIPES / "pocket" / "pretrain.yaml").data


def test_it_can_do_sums_but_has_never_seen_the_answer_format(pocket):
    sums = {"12+7=": "19", "45-9=": "36", "7*8=": "56", "36/4=": "9", "58+33=": "91"}
    written = greedy(pocket, [f"<|end|>{question}" for question in sums], 4)
    right = [done.text.startswith(f"{answer}.") for done, answer in zip(written, sums.values(), strict=True)]
    assert sum(right) >= 4

    examples = load_examples(TaskBlock(name="pocket-math"), "dev")[:64]
    spec = PromptSpec()
    answers = greedy(pocket, [render_prompt(pocket[1], spec, example.question) for example in examples], 48)
    grades = [
        grade(done.text, example.answer, spec, done.terminated)
        for done, example in zip(answers, examples, strict=True)
    ]
    assert not any(verdict.strict for verdict in grades)
    assert sum(verdict.robust for verdict in grades) < 10
