"""GRPO that samples with vLLM: the policy that is sampled from is the one that is trained."""

import json
from importlib.util import find_spec

import pytest

from engines.grpo import Recipe, run

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: `make test-vllm`"),
]


def recipe(tiny_model, sums, **fields):
    return Recipe.model_validate(
        {
            "engine": "grpo",
            "model": {"base": str(tiny_model)},
            "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 10},
            "lora": {"r": 8, "lora_alpha": 32},
            "entropy_coef": 1.0,  # a random model is never right, but this moves it all the same
            "train_samples": 8,
            "num_generations": 4,
            "per_device_train_batch_size": 8,
            "gradient_accumulation_steps": 1,
            "max_completion_length": 24,
            "learning_rate": 2e-2,
            "warmup_steps": 0,
            "mask_truncated_completions": False,
            "use_vllm": True,
            "device": "cpu",
            **fields,
        }
    )


def differences(events):
    """By step, how far vLLM and the trained model are apart on the tokens that were drawn."""
    return {
        event["step"]: event["values"]["sampling_logp_difference"]
        for event in events
        if event["kind"] == "metrics" and "sampling_logp_difference" in event["values"]
    }


def test_vllm_samples_from_the_adapter_as_it_is_after_each_step(tiny_model, sums, make_run, read_events):
    attempt = make_run()
    run(recipe(tiny_model, sums), attempt)
    apart = differences(read_events(attempt))
    assert sorted(apart) == [1, 2, 3, 4]
    assert max(apart.values()) < 1e-4
    assert not (attempt.dir / "policy").exists()
    record = json.loads((attempt.dir / "run.json").read_text())
    assert record["changed_parameters"] > 0.5


def test_a_policy_that_is_not_kept_up_to_date_is_seen(tiny_model, sums, make_run, read_events, monkeypatch):
    from engines.generation.vllm_policy import VllmPolicy

    first = VllmPolicy.sync_weights

    def only_once(self):
        if self._version == 0:
            first(self)

    monkeypatch.setattr(VllmPolicy, "sync_weights", only_once)
    attempt = make_run()
    run(recipe(tiny_model, sums), attempt)
    apart = differences(read_events(attempt))
    assert apart[1] < 1e-4 < 1e-2 < apart[4]
