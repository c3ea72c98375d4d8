"""What a recipe may say, all of which is read."""

import re
from pathlib import Path

import pytest

import engines
from engines.mtl_ppo import Recipe
from engines.ppo.fields import MtlPpoRecipe
from engines.recipe.blocks import BaseRecipe, Block

SOURCES = "\n".join(
    path.read_text()
    for pattern in ("mtl_ppo.py", "ppo/*.py", "surgery/*.py")
    for path in sorted(Path(engines.__file__).parent.glob(pattern))
)


def keys(block, path=()):
    for name, field in block.model_fields.items():
        if block is not MtlPpoRecipe or name not in BaseRecipe.model_fields:
            yield (*path, name)
        inner = field.annotation
        if (
            isinstance(inner, type)
            and issubclass(inner, Block)
            and inner.__module__.startswith("engines.ppo")
        ):
            yield from keys(inner, (*path, name))


@pytest.mark.parametrize("key", sorted(keys(MtlPpoRecipe)), ids=".".join)
def test_every_key_is_read_by_code(key):
    assert re.search(rf"\.{key[-1]}\b", SOURCES), f"nothing reads {'.'.join(key)}"


def recipe(**fields):
    return Recipe.model_validate({"engine": "mtl_ppo", "model": {"base": "pocket"}, **fields})


def test_learning_rates_depend_on_what_is_trained():
    assert (recipe().actor_lr, recipe().critic_lr) == (2e-5, 1e-4)
    whole = recipe(lora=None)
    assert (whole.actor_lr, whole.critic_lr, whole.critic_mode) == (1e-6, 1e-5, "separate")
    assert recipe(actor={"optim": {"lr": 0.5}}).actor_lr == 0.5


def test_switched_off_it_pools_whatever_the_method_says():
    assert recipe(mtl={"enabled": False, "method": "pcgrad"}).mtl.effective == "pooled"
    assert recipe().mtl.effective == "pcgrad"


def test_what_will_have_no_effect_is_said():
    assert recipe().remarks() == []
    assert (
        "no effect: `critic`"
        in recipe(algorithm={"adv_estimator": "grpo"}, critic={"vf_coef": 1}).remarks()[0]
    )
    assert "another distribution" in recipe(rollout={"top_p": 0.9}).remarks()[0]


def test_advantages_are_standardized_by_task_with_a_critic_and_not_without():
    assert recipe().algorithm.normalization == "task"
    assert recipe(algorithm={"adv_estimator": "rloo"}).algorithm.normalization == "none"
    assert recipe(algorithm={"adv_norm": "batch"}).algorithm.normalization == "batch"
