import math
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from engines.recipe.errors import RecipeError
from engines.training.live_groups import (
    TOKEN_MEAN,
    LiveGroupGRPOTrainer,
    check_contiguous,
    compact,
    dead_groups,
    undiluted,
)

LOSSES = ("dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo")
LIVE, DEAD = ("What is 1 + 2?", "How many apples?"), ("What is 9 + 9?", "Tom has 12 pens.")
REWARDS = {LIVE[0]: (1.0, 0.0), LIVE[1]: (0.0, 1.0), DEAD[0]: (0.1, 0.1), DEAD[1]: (1.0, 1.0)}
LENGTHS = {LIVE[0]: (7, 5), LIVE[1]: (4, 9), DEAD[0]: (3, 6), DEAD[1]: (8, 2)}


def reward(prompts, completions, **_):
    """Which completion of its group is which is told by its place."""
    return [REWARDS[prompt][place % 2] for place, prompt in enumerate(prompts)]


def rollout(prompts, trainer):
    """Fixed completions, the second of each group another than the first, ended by the end token."""
    end = trainer.eos_token_ids[0]
    ids = []
    for place, prompt in enumerate(prompts):
        length = LENGTHS[prompt][place % 2]
        ids.append([40 + (3 * place + 7 * token + len(prompt)) % 200 for token in range(length)] + [end])
    prompt_ids = [trainer.processing_class(prompt)["input_ids"] for prompt in prompts]
    return {"prompt_ids": prompt_ids, "completion_ids": ids, "logprobs": None}


class Gradients(TrainerCallback):
    """Takes the gradient before the optimizer does, and the logs."""

    def on_pre_optimizer_step(self, args, state, control, model, **_):
        self.values = {name: weight.grad.clone() for name, weight in model.named_parameters()}

    def on_log(self, args, state, control, logs, **_):
        self.logs = getattr(self, "logs", {}) | logs


def one_step(kind, tiny_model, folder, prompts, reward_funcs=reward, rollout_func=rollout, **options):
    """The gradient of one optimizer step, and what was logged."""
    seen = Gradients()
    accumulation = options.pop("gradient_accumulation_steps", 1)
    shares = accumulation * options.pop("processes", 1)
    arguments = GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        max_steps=1,
        logging_steps=1,
        max_grad_norm=0,
        num_generations=2,
        per_device_train_batch_size=2 * len(prompts) // shares,
        gradient_accumulation_steps=accumulation,
        max_completion_length=16,
        shuffle_dataset=False,
        **{"scale_rewards": "none", **options},
    )
    trainer = kind(
        model=AutoModelForCausalLM.from_pretrained(tiny_model),
        reward_funcs=reward_funcs,
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": list(prompts)}),
        processing_class=AutoTokenizer.from_pretrained(tiny_model, padding_side="left"),
        callbacks=[seen],
        rollout_func=rollout_func,
    )
    trainer.train()
    return seen.values, seen.logs


def options_of(loss):
    return {"loss_type": loss} | ({"epsilon_high": 5.0} if loss == "cispo" else {})


@pytest.mark.parametrize("loss", LOSSES)
def test_a_dead_group_does_not_dilute_the_gradient(tiny_model, tmp_path, loss):
    """TRL's gradient is exactly `live share` times ours, with and without gradient accumulation."""
    prompts = (LIVE[0], DEAD[0], LIVE[1], DEAD[1])
    tokens = {prompt: sum(LENGTHS[prompt]) + 2 for prompt in prompts}
    share = sum(tokens[prompt] for prompt in LIVE) / sum(tokens.values()) if loss in TOKEN_MEAN else 0.5
    options = options_of(loss) | {"gradient_accumulation_steps": 2}
    diluted, _ = one_step(GRPOTrainer, tiny_model, tmp_path, prompts, **options)
    ours, logs = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, prompts, **options)
    assert logs["live_share"] == pytest.approx(share)
    assert logs["frac_reward_zero_std"] == 0.5
    assert max(gradient.abs().max() for gradient in ours.values()) > 1e-4
    for name, gradient in ours.items():
        torch.testing.assert_close(diluted[name], gradient * share, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_that_of_the_live_groups_alone(tiny_model, tmp_path, loss):
    mixed, _ = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, (*LIVE, *DEAD), **options_of(loss))
    alone, _ = one_step(GRPOTrainer, tiny_model, tmp_path, LIVE, **options_of(loss))
    for name, gradient in alone.items():
        torch.testing.assert_close(mixed[name], gradient, rtol=1e-3, atol=1e-6)


def test_without_dead_groups_nothing_is_changed(tiny_model, tmp_path):
    ours, _ = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, LIVE)
    theirs, _ = one_step(GRPOTrainer, tiny_model, tmp_path, LIVE)
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("loss", ["dapo", "grpo", "bnpo"])
def test_a_batch_of_dead_groups_has_a_zero_loss_and_gradient(tiny_model, tmp_path, loss):
    gradients, logs = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, DEAD, loss_type=loss)
    assert logs["loss"] == 0 and logs["live_share"] == 0
    assert not any(math.isnan(value) for value in logs.values() if isinstance(value, float))
    assert all((gradient == 0).all() for gradient in gradients.values())


def test_the_kl_term_is_a_mean_over_everything_whatever_is_dead(tiny_model, tmp_path):
    """At the start the KL is zero, and so is its gradient: dead groups do not move the policy term by it either."""
    plain, _ = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, (*LIVE, *DEAD))
    with_kl, logs = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, (*LIVE, *DEAD), beta=0.1)
    assert logs["kl"] == pytest.approx(0, abs=1e-6)
    for name, gradient in plain.items():
        torch.testing.assert_close(with_kl[name], gradient, rtol=1e-3, atol=1e-5)


def test_rounding_brings_no_dead_group_to_life(tiny_model, tmp_path):
    """Eight times 0.1 has another mean than 0.1, which `scale_rewards: group` would blow up."""
    assert dead_groups(torch.tensor([0.1] * 8), 8).all()
    _, logs = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, DEAD, scale_rewards="group")
    assert logs["loss"] == 0
    _, logs = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, (*LIVE, *DEAD), scale_rewards="batch")
    assert logs["frac_reward_zero_std"] == 0.5


def test_groups_that_differ_in_one_part_only_are_alive_where_parts_are_normalised_apart(tiny_model, tmp_path):
    def other_way(prompts, completions, **_):
        return [1.0 - REWARDS[prompt][place % 2] for place, prompt in enumerate(prompts)]

    options = {"reward_funcs": [reward, other_way]}
    _, logs = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, LIVE, **options)
    assert logs["live_share"] == 0
    options["multi_objective_aggregation"] = "normalize_then_sum"
    _, logs = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, LIVE, **options)
    assert logs["live_share"] == 1


def test_completions_without_a_reward_neither_bring_a_group_to_life_nor_kill_it():
    nan = math.nan
    rewards = torch.tensor([nan, nan, 1.0, nan, 1.0, 0.0, nan, 0.5])
    assert dead_groups(rewards, 2).tolist() == [True, True, False, True]
    assert dead_groups(torch.tensor([nan, 1.0, 0.0, 1.0]), 4).tolist() == [False]


def test_advantages_are_divided_by_the_live_share_of_the_weight():
    dead = torch.tensor([False, False, True, True])
    advantages = torch.tensor([1.0, -1.0, 0.0, 0.0])
    weight = torch.tensor([1.0, 2.0, 3.0, 6.0])
    assert undiluted(advantages, dead, weight).tolist() == [4.0, -4.0, 0.0, 0.0]
    assert undiluted(advantages * 0, ~torch.zeros(4, dtype=torch.bool), weight).tolist() == [0.0] * 4


@pytest.mark.parametrize("prompts", [["a", "b", "a", "b"], ["a", "a", "b"], ["a", "b", "b", "a"]])
def test_groups_that_do_not_stand_together_are_refused(prompts):
    with pytest.raises(RecipeError, match="not whole groups of 2"):
        check_contiguous(prompts, 2)
    check_contiguous(["a", "a", "b", "b"], 2)
    check_contiguous(["a", "a", "a", "a"], 2)


def test_the_trainer_itself_refuses_a_torn_group():
    trainer = SimpleNamespace(num_generations=2)
    with pytest.raises(RecipeError, match="whole groups"):
        LiveGroupGRPOTrainer._generate_and_score_completions(trainer, [{"prompt": "a"}, {"prompt": "b"}])


def test_a_batch_without_its_dead_rows_is_smaller_in_both_directions():
    batch = {
        "prompt_ids": torch.tensor([[0, 0, 5], [0, 6, 7], [1, 2, 3]]),
        "prompt_mask": torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 1]]),
        "completion_ids": torch.tensor([[8, 9, 0, 0], [8, 9, 9, 0], [4, 4, 4, 4]]),
        "completion_mask": torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]),
        "old_per_token_logps": torch.zeros(3, 4),
        "importance_sampling_ratio": torch.ones(3, 1),
        "advantages": torch.tensor([1.0, -1.0, 0.0]),
        "num_items_in_batch": torch.tensor(9),
    }
    smaller = compact(batch, batch["advantages"] != 0)
    assert smaller["prompt_ids"].tolist() == [[0, 5], [6, 7]]
    assert smaller["completion_ids"].tolist() == [[8, 9, 0], [8, 9, 9]]
    assert smaller["old_per_token_logps"].shape == (2, 3)
    assert smaller["importance_sampling_ratio"].shape == (2, 1)
    assert smaller["num_items_in_batch"] == 9
    nothing = batch | {"completion_mask": torch.zeros(3, 4)}
    assert compact(nothing, torch.tensor([True, False, False]))["completion_ids"].shape == (1, 2)


@pytest.mark.parametrize("loss", ["dapo", "grpo", "bnpo"])
def test_dead_rows_are_not_computed_where_they_cannot_matter(tiny_model, tmp_path, loss, monkeypatch):
    seen = []
    original = GRPOTrainer._compute_loss

    def count(self, model, inputs):
        seen.append(len(inputs["advantages"]))
        return original(self, model, inputs)

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", count)
    one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, (*LIVE, *DEAD), loss_type=loss)
    one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, (*LIVE, *DEAD), loss_type=loss, beta=0.1)
    assert seen == ([8, 8] if loss == "bnpo" else [4, 8])


def test_completions_that_are_cut_off_and_masked_have_no_gradient(tiny_model, tmp_path):
    def endless(prompts, trainer):
        found = rollout(prompts, trainer)
        found["completion_ids"][0] = found["completion_ids"][0][:-1]
        return found

    options = {"mask_truncated_completions": True, "loss_type": "grpo", "rollout_func": endless}
    ours, logs = one_step(LiveGroupGRPOTrainer, tiny_model, tmp_path, LIVE, **options)
    theirs, _ = one_step(GRPOTrainer, tiny_model, tmp_path, LIVE, **options)
    assert logs["completions/clipped_ratio"] == 0.25
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-3, atol=1e-6)
