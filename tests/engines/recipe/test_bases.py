from pathlib import Path

import pytest

from engines.recipe.bases import base_model
from engines.recipe.errors import RecipeError
from engines.recipe.expand import load_recipe

CHAIN = """
defaults: {task: pocket-math}
jobs:
  first: {engine: sft, model: {base: some/model, revision: v1CHAT}}
  second: {engine: sft, model: {from: first}, matrix: {seed: [1, 2]}}
  third: {engine: sft, model: {from: second}, matrix: {seed: [1, 2]}}
"""


def plan_of(text: str, directory: Path):
    file = directory / "r.yaml"
    file.write_text(text)
    return load_recipe(file)


def test_the_base_is_found_through_all_jobs_between(tmp_path):
    plan = plan_of(CHAIN.replace("CHAT", ""), tmp_path)
    block = base_model(plan, next(job for job in plan.jobs if job.name == "third[seed=2]"))
    assert (block.base, block.from_, block.revision, block.chat_template) == ("some/model", None, "v1", None)


def test_the_nearest_chat_template_on_the_way_is_the_one_that_counts(tmp_path):
    plan = plan_of(CHAIN.replace("CHAT", ", chat_template: a.jinja"), tmp_path)
    assert base_model(plan, plan.jobs[-1]).chat_template == "a.jinja"
    nearer = CHAIN.replace("CHAT", ", chat_template: a.jinja").replace(
        "{from: first}", "{from: first, chat_template: b.jinja}"
    )
    assert base_model(plan_of(nearer, tmp_path), plan.jobs[-1]).chat_template == "b.jinja"


def test_a_tokenizer_that_is_made_by_a_job_cannot_be_had_before_it_runs(tmp_path):
    text = "jobs:\n  p: {engine: pretrain, task: pocket-math}\n  s: {engine: sft, task: pocket-math, model: {from: p}}\n"
    plan = plan_of(text, tmp_path)
    with pytest.raises(RecipeError, match=r"job `p` \(pretrain\) makes the tokenizer.*\nhint: "):
        base_model(plan, plan.jobs[-1])
