"""PPO that samples with vLLM: the policy that is sampled from is the one that is trained."""

import json
from importlib.util import find_spec

import pytest

from engines.mtl_ppo import Recipe, run

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed: `make test-vllm`"),
]


def test_vllm_samples_from_the_adapter_as_it_is_after_each_step(tiny_model, make_run, read_events):
    attempt = make_run()
    recipe = Recipe.model_validate(
        {
            "engine": "mtl_ppo",
            "model": {"base": str(tiny_model)},
            "lora": {"r": 8, "lora_alpha": 32},
            "data": {
                "train": ["micro_logic", "micro_math"],
                "train_items": 4,
                "val_items": 2,
                "train_batch_size": 4,
            },
            "rollout": {"n": 4, "max_response_length": 8, "use_vllm": True},
            # A random model is never right, but this moves it all the same.
            "actor": {"entropy_coeff": 1.0, "optim": {"lr": 2e-2}},
            "trainer": {"total_epochs": 2},
            "device": "cpu",
        }
    )
    run(recipe, attempt)
    apart = [
        event["values"]["sampling_kl"]
        for event in read_events(attempt)
        if event["kind"] == "metrics" and "sampling_kl" in event["values"]
    ]
    assert len(apart) == 4 and max(apart) < 1e-4
    assert not (attempt.dir / "policy-0").exists()
    assert json.loads((attempt.dir / "run.json").read_text())["changed_parameters"] > 0.5
