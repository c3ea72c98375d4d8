import pytest

from engines.recipe.document import read_document
from engines.recipe.errors import InvalidRecipeError
from engines.recipe.expand import expand
from engines.training.algorithm import Algorithm
from engines.training.algorithm_lint import warnings

OFF_POLICY = {"num_iterations": 2}


def warned(**fields):
    return "\n".join(warnings(Algorithm(**fields)))


def refused(**fields):
    with pytest.raises(ValueError) as caught:
        Algorithm(**fields)
    return str(caught.value)


def test_the_defaults_are_sound():
    recipe = Algorithm()
    assert not warnings(recipe)
    assert recipe.prompts_per_generation == 8 and recipe.on_policy


@pytest.mark.parametrize(
    "option",
    [
        {"epsilon": 0.1},
        {"epsilon_high": 0.28},
        {"delta": 4.0},
        {"importance_sampling_level": "sequence", "loss_type": "grpo"},
        {"off_policy_mask_threshold": 0.5},
    ],
)
def test_options_about_ratios_are_dead_where_every_ratio_is_one(option):
    [name] = [key for key in option if key != "loss_type"]
    assert f"no effect: `{name}" in warned(**option) and "every probability ratio is 1" in warned(**option)
    assert "no effect" not in warned(**option, **OFF_POLICY)
    assert "no effect" not in warned(**option, steps_per_generation=16)
    assert f"no effect: `{name}" in warned(**option, steps_per_generation=4)


@pytest.mark.parametrize("loss", ["cispo", "sapo", "vespo"])
def test_losses_that_differ_in_ratios_only_say_so(loss):
    fields = {"loss_type": loss} | ({"epsilon_high": 5.0} if loss == "cispo" else {})
    assert f"`loss_type: {loss}` differs" in warned(**fields)
    assert not warned(**fields, **OFF_POLICY)


def test_cispo_without_its_cap_is_an_error():
    assert "gradients shrink to 0.2 times" in refused(loss_type="cispo")


def test_groups_must_fill_the_generation_batch():
    assert "has 12 completions" in refused(per_device_train_batch_size=4, gradient_accumulation_steps=3)
    assert "`steps_per_generation`" in refused(per_device_train_batch_size=4, steps_per_generation=3)
    Algorithm(per_device_train_batch_size=4, gradient_accumulation_steps=3, num_generations=6)


def test_a_budget_below_one_generation_batch_is_an_error():
    assert "less than the 8 questions of one generation batch" in refused(train_samples=7)
    Algorithm(train_samples=8)


def test_sampling_that_makes_every_group_dead_is_an_error():
    assert "temperature: 0" in refused(temperature=0)
    assert "top_k: 1" in refused(top_k=1)


@pytest.mark.parametrize("option", [{"top_p": 0.9}, {"top_k": 50}])
def test_filters_of_the_sampling_bias_the_gradient(option):
    assert "narrower distribution" in warned(**option)


def test_a_temperature_is_no_filter_as_the_loss_divides_by_it_too():
    assert not warned(temperature=0.7)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"importance_sampling_level": "sequence", **OFF_POLICY}, "GSPO uses `loss_type: grpo`"),
        ({"loss_type": "luspo", **OFF_POLICY}, "meant for `importance_sampling_level: sequence`"),
        (
            {"loss_type": "vespo", "importance_sampling_level": "sequence", **OFF_POLICY},
            "weighs whole sequences by itself",
        ),
        (
            {"loss_type": "grpo", "importance_sampling_level": "sequence", "beta": 0.04, **OFF_POLICY},
            "unbiased for ratios of tokens only",
        ),
        ({"loss_type": "dr_grpo", "scale_rewards": "group"}, "brings its bias back"),
        ({"beta": 0.04, "scale_rewards": "group"}, "the KL term weighs less there"),
        ({"use_bias_correction_kl": False}, "`beta` is 0"),
        ({"sapo_temperature_pos": 2.0}, "no effect: `sapo_temperature_pos`"),
        ({"loss_type": "sapo", "vespo_k_neg": 2.0, **OFF_POLICY}, "no effect: `vespo_k_neg`"),
        ({"loss_type": "cispo", "epsilon_high": 5.0, "delta": 4.0, **OFF_POLICY}, "no two-sided clipping"),
    ],
)
def test_options_that_do_not_go_together_are_explained(fields, text):
    assert text in warned(**fields)


def test_check_shows_the_errors_with_the_file(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("engine: grpo\nmodel: {base: pocket}\ntask: pocket-math\ntrain_samples: 4\n")
    with pytest.raises(InvalidRecipeError, match="less than the 8 questions of one generation batch"):
        expand(read_document(file))
