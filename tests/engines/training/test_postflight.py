import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from engines.recipe.errors import RecipeError
from engines.training import postflight

PROMPTS = ["Tom has 12 apples", "He has"]


@pytest.fixture
def adapted(tiny_model):
    """The tiny model with a fresh adapter, which has no effect yet."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    return get_peft_model(model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")).eval()


def train(model):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05)


@pytest.fixture
def tokenizer(tiny_model):
    return AutoTokenizer.from_pretrained(tiny_model)


def test_weights_that_did_not_change_are_an_error(adapted):
    before = postflight.snapshot(adapted)
    with pytest.raises(RecipeError, match="exactly the weights that it began with"):
        postflight.check_weights_changed(before, postflight.snapshot(adapted))
    train(adapted)
    assert postflight.check_weights_changed(before, postflight.snapshot(adapted)) == 1.0


def test_the_share_of_changed_elements_is_counted():
    before = {"a": torch.zeros(4), "b": torch.zeros(4)}
    assert (
        postflight.check_weights_changed(before, {"a": torch.zeros(4), "b": torch.tensor([0.0, 1, 2, 0])})
        == 0.25
    )


def test_weights_of_which_hardly_any_changed_are_remarked_on():
    before = {"w": torch.zeros(100)}
    after = {"w": torch.zeros(100)}
    after["w"][:19] = 1
    assert "only 19.0% of the trained weights" in str(
        postflight.hardly_changed(postflight.check_weights_changed(before, after))
    )
    after["w"][:20] = 1
    assert postflight.hardly_changed(postflight.check_weights_changed(before, after)) is None


def test_an_adapter_without_effect_is_an_error(adapted):
    ids = torch.tensor([[5, 6, 7]])
    with pytest.raises(RecipeError, match="the same with and without"):
        postflight.check_adapter_is_active(adapted, ids)
    train(adapted)
    postflight.check_adapter_is_active(adapted, ids)


def test_other_outputs_after_reloading_are_an_error():
    postflight.check_same_outputs([[1], [2]], [[1], [2]])
    with pytest.raises(RecipeError, match="1 of 2 prompts"):
        postflight.check_same_outputs([[1], [2]], [[1], [3]])


def test_a_saved_adapter_is_compared_with_the_trained_one(adapted, tokenizer, tmp_path):
    train(adapted)
    adapted.save_pretrained(tmp_path)
    postflight.check_saved(adapted, tokenizer, tmp_path, PROMPTS)
    assert adapted.active_adapter == "default" and list(adapted.peft_config) == ["default"]
    file = tmp_path / "adapter_model.safetensors"
    save_file(
        {name: -tensor if "lora_B" in name else tensor for name, tensor in load_file(file).items()},
        file,
        metadata={"format": "pt"},
    )
    with pytest.raises(RecipeError, match="generates something else"):
        postflight.check_saved(adapted, tokenizer, tmp_path, PROMPTS)


def test_saved_weights_are_compared_with_the_trained_ones(tiny_model, tokenizer, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    model.save_pretrained(tmp_path)
    postflight.check_saved(model, tokenizer, tmp_path, PROMPTS)
    train(model)
    with torch.no_grad():
        model.lm_head.weight.copy_(model.lm_head.weight.flip(0))
    with pytest.raises(RecipeError, match="generates something else"):
        postflight.check_saved(model, tokenizer, tmp_path, PROMPTS)


def test_saved_weights_are_compared_under_the_attention_that_they_were_trained_with(
    tiny_model, tokenizer, tmp_path, monkeypatch
):
    model = AutoModelForCausalLM.from_pretrained(tiny_model, attn_implementation="eager").eval()
    model.save_pretrained(tmp_path)
    compared = []
    greedy = postflight._greedy

    def remember(model, *arguments):
        compared.append(model.config._attn_implementation)
        return greedy(model, *arguments)

    monkeypatch.setattr(postflight, "_greedy", remember)
    postflight.check_saved(model, tokenizer, tmp_path, PROMPTS)
    assert compared == ["eager", "eager"]


def test_weights_that_are_no_numbers_are_an_error(adapted):
    postflight.check_finite(adapted)
    with torch.no_grad():
        next(p for p in adapted.parameters() if p.requires_grad)[0, 0] = float("nan")
    with pytest.raises(RecipeError, match="training diverged: 1 trained tensors"):
        postflight.check_finite(adapted)
