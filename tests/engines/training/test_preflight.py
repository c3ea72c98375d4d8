from dataclasses import dataclass

import pytest
import torch
from transformers import LlamaConfig

from engines.recipe.errors import RecipeError
from engines.training import preflight


@dataclass
class Row:
    id: str
    input_ids: list[int]
    labels: list[int]


def rows(*labels: list[int]) -> list[Row]:
    return [Row(f"row-{number}", [1] * len(row), row) for number, row in enumerate(labels)]


def test_a_frozen_model_is_refused():
    model = torch.nn.Linear(2, 3)
    assert preflight.check_trainable(model) == 9
    model.requires_grad_(False)
    with pytest.raises(RecipeError, match="no trainable parameter"):
        preflight.check_trainable(model)


def test_an_adapter_that_was_loaded_frozen_is_refused(tiny_model, tmp_path):
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    get_peft_model(base, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")).save_pretrained(
        tmp_path
    )
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    with pytest.raises(RecipeError, match="no trainable parameter"):
        preflight.check_trainable(PeftModel.from_pretrained(base, tmp_path))


def test_a_row_without_a_trained_end_token_is_refused():
    ends = frozenset({2, 7})
    preflight.check_ends_are_trained(rows([-100, 5, 2], [5, 7]), ends)
    with pytest.raises(RecipeError, match=r"row-1: .*never learn to stop"):
        preflight.check_ends_are_trained(rows([5, 2], [2, 5]), ends)
    with pytest.raises(RecipeError, match="row-0"):
        preflight.check_ends_are_trained(rows([5, -100]), ends)


def test_white_space_after_the_end_token_is_allowed():
    preflight.check_ends_are_trained(rows([5, 2, 9]), frozenset({2}), lambda token: token == 9)
    with pytest.raises(RecipeError):
        preflight.check_ends_are_trained(rows([5, 2, 8]), frozenset({2}), lambda token: token == 9)


def test_a_prompt_that_is_no_prefix_of_its_row_is_refused():
    preflight.check_prompt_is_prefix([1, 2], [1, 2, 3], "row")
    with pytest.raises(RecipeError, match="merge across the end of the prompt"):
        preflight.check_prompt_is_prefix([1, 2], [1, 23], "row")


def test_a_second_bos_is_refused():
    preflight.check_single_bos([1, 5, 6], 1, "row")
    preflight.check_single_bos([1, 1, 6], None, "row")
    with pytest.raises(RecipeError, match="more than one beginning-of-sequence"):
        preflight.check_single_bos([1, 1, 6], 1, "row")


def test_long_rows_are_refused_unless_the_recipe_drops_them():
    data = rows([1] * 3, [1] * 9, [1] * 5)
    assert preflight.drop_long_rows(data, 9, drop_long=False) == data
    with pytest.raises(RecipeError, match=r"1 of 3 rows .*\(the longest: 9\)"):
        preflight.drop_long_rows(data, 8, drop_long=False)
    assert preflight.drop_long_rows(data, 8, drop_long=True) == [data[0], data[2]]
    with pytest.raises(RecipeError, match="no row is as short"):
        preflight.drop_long_rows(data, 2, drop_long=True)


def test_rows_beyond_the_models_context_are_refused():
    config = LlamaConfig(max_position_embeddings=8)
    preflight.check_context(rows([1] * 8, [1] * 3), config)
    preflight.check_context([], config)
    with pytest.raises(RecipeError, match="a row has 9 tokens, and the model's context is 8"):
        preflight.check_context(rows([1] * 3, [1] * 9), config)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_weights_with_a_tiny_rate_are_refused(dtype):
    low = [torch.nn.Parameter(torch.zeros(2, dtype=dtype))]
    frozen = [torch.nn.Parameter(torch.zeros(2, dtype=dtype), requires_grad=False)]
    full = [torch.nn.Parameter(torch.zeros(2))]
    preflight.check_precision(low, 1e-4)
    preflight.check_precision(frozen + full, 1e-6)
    with pytest.raises(RecipeError, match="is rounded away"):
        preflight.check_precision(full + low, 2e-5)


def test_a_pad_token_that_ends_answers_is_refused():
    preflight.check_pad(3, frozenset({2}))
    with pytest.raises(RecipeError, match="which is also an end token"):
        preflight.check_pad(2, frozenset({2}))
    with pytest.raises(RecipeError, match="has no pad token"):
        preflight.check_pad(None, frozenset({2}))
