import pytest

from engines.recipe.errors import RecipeError
from engines.recipe.schemas import ENGINES, find_verb, verbs_of
from engines.verbs.request import request

TWO = """
defaults: {model: {base: pocket}, task: pocket-math}
jobs:
  s: {engine: sft}
  a: {engine: step_jepa}
  b: {engine: step_jepa, jepa: {predictors: 3}}
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "r.yaml").write_text(TWO)
    return tmp_path / "r.yaml"


def test_the_first_job_of_the_engine_is_meant_unless_another_is_named(recipe):
    assert request(recipe, "step_jepa").job.name == "a"
    assert request(recipe, "step_jepa", "b").job.recipe.jepa.predictors == 3
    assert request(recipe, "step_jepa", None, ["jobs.a.seed=7"]).job.recipe.seed == 7


@pytest.mark.parametrize(("engine", "job"), [("grpo", None), ("step_jepa", "s"), ("step_jepa", "c")])
def test_a_job_that_is_not_there_is_an_error_that_lists_those_that_are(recipe, engine, job):
    with pytest.raises(RecipeError, match=r"no job.*\nhint: .*a"):
        request(recipe, engine, job)


def test_an_unknown_engine_or_verb_is_an_error_that_lists_what_there_is():
    with pytest.raises(RecipeError, match=r"`sft` has no verbs; those with verbs are: .*step_jepa"):
        find_verb("sft", "show-mask")
    with pytest.raises(RecipeError, match=r"`step_japa` does not exist.*\nhint: did you mean `step_jepa`"):
        find_verb("step_japa", "show-mask")
    with pytest.raises(
        RecipeError, match=r"no verb `show_mask`; .*show-mask, coverage\nhint: did you mean `show-mask`"
    ):
        find_verb("step_jepa", "show_mask")


def test_every_verb_leads_to_a_command():
    from importlib import import_module

    import click

    places = [place for engine in ENGINES for place in verbs_of(engine).values()]
    assert places
    for place in places:
        module, _, function = place.partition(":")
        assert isinstance(getattr(import_module(module), function), click.Command)
