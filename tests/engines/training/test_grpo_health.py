from types import SimpleNamespace

import pytest

from engines.recipe.errors import RecipeError
from engines.training.grpo_health import CHECKS, GRPOHealthCallback
from engines.training.health_block import HealthBlock

HEALTHY = {
    "loss": 0.1,
    "grad_norm": 0.3,
    "reward": 0.4,
    "entropy": 0.5,
    "kl": 0.01,
    "frac_reward_zero_std": 0.5,
    "completions/clipped_ratio": 0.1,
    "completions/mean_terminated_length": 30.0,
    "completions/mean_length": 30.0,
    "sampling/sampling_logp_difference/mean": 0.001,
}
SICK = {
    "frac_reward_zero_std": {"frac_reward_zero_std": 0.95},
    "clipped_ratio": {"completions/clipped_ratio": 0.5},
    "no_end": {"completions/mean_terminated_length": 0.0},
    "no_gradient": {"grad_norm": 0.0},
    "min_entropy": {"entropy": 0.019},
    "max_kl": {"kl": 5.0},
    "sampling_logp_difference": {"sampling/sampling_logp_difference/mean": 0.1},
    "length_growth": {"completions/mean_length": 60.0},
}
BLOCK = {"logs": 3, "max_kl": 5.0}


def watch(run, block, *changes):
    """A log for each of the changes, one step apart."""
    callback = GRPOHealthCallback(run, HealthBlock(**block))
    for step, change in enumerate(changes, start=1):
        callback.on_log(None, SimpleNamespace(global_step=step), None, logs=HEALTHY | change)


def messages(events):
    return [event["text"] for event in events if event["kind"] == "message"]


def test_every_check_has_a_field_and_a_sick_example():
    assert CHECKS.keys() == SICK.keys() == HealthBlock.model_fields.keys() - {"logs", "warn_only"}


@pytest.mark.parametrize("name", SICK)
def test_a_figure_that_is_bad_for_long_enough_ends_the_run(make_run, name):
    block = BLOCK | {"warn_only": []}
    start = [{}] * 3
    watch(make_run(), block, *start, SICK[name], SICK[name], {}, SICK[name], SICK[name])
    with pytest.raises(RecipeError, match=rf"health\.{name}.*in 3 logs in a row, up to step 6") as caught:
        watch(make_run(), block, *start, *[SICK[name]] * 3)
    assert f"{name}: null" in caught.value.hint


@pytest.mark.parametrize("name", SICK)
def test_or_warns_once_and_again_after_it_has_recovered(make_run, read_events, name):
    attempt = make_run()
    watch(attempt, BLOCK | {"warn_only": [name]}, *[{}] * 3, *[SICK[name]] * 5, {}, *[SICK[name]] * 4)
    assert len(messages(read_events(attempt))) == 2


@pytest.mark.parametrize("name", SICK)
def test_or_is_switched_off(make_run, read_events, name):
    attempt = make_run()
    watch(attempt, BLOCK | {name: None}, *[{}] * 3, *[SICK[name]] * 9)
    assert not attempt.dir.joinpath("events.jsonl").read_text()


def test_longer_completions_that_earn_more_are_no_alarm(make_run):
    attempt = make_run()
    better = {"completions/mean_length": 90.0, "reward": 0.6}
    watch(attempt, BLOCK | {"warn_only": ["length_growth"]}, *[{}] * 3, *[better] * 5)
    assert not attempt.dir.joinpath("events.jsonl").read_text()


def test_a_step_without_new_completions_is_no_alarm(make_run):
    attempt = make_run()
    callback = GRPOHealthCallback(attempt, HealthBlock(logs=1))
    logs = {"loss": 0.1, "grad_norm": 0.2, "entropy": 0.3, "reward": None}
    callback.on_log(None, SimpleNamespace(global_step=1), None, logs=logs)
    callback.on_log(None, SimpleNamespace(global_step=1), None, logs={"train_runtime": 1.0})
    assert not attempt.dir.joinpath("events.jsonl").read_text()


def test_by_default_short_runs_of_bad_luck_pass_and_collapse_does_not(make_run):
    dead = {"frac_reward_zero_std": 1.0, "grad_norm": 0.0}
    watch(make_run(), {}, *[dead] * 9, {})
    with pytest.raises(RecipeError, match="nearly all groups are dead"):
        watch(make_run(), {}, *[dead] * 10)
