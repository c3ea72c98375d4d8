"""The main job on the real GSM8K files, which stand beside the checkout on developers' machines."""

import json
from pathlib import Path

import pytest

from engines import eval as evaluation
from engines import sft

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k"

pytestmark = pytest.mark.skipif(not GSM8K.is_dir(), reason="the GSM8K files are not here")


def test_training_and_evaluation_run_on_the_real_gsm8k(tiny_model, make_run, read_events):
    task = {"name": "gsm8k", "path": str(GSM8K)}
    trained = make_run("prep")
    sft.run(
        sft.Recipe.model_validate(
            {
                "engine": "sft",
                "stage": "prep",
                "model": {"base": str(tiny_model)},
                "task": task,
                "train_samples": 8,
                "num_train_epochs": 1,
                "per_device_train_batch_size": 2,
                "gradient_accumulation_steps": 2,
                "learning_rate": 1e-3,
                "device": "cpu",
            }
        ),
        trained,
    )
    assert json.loads((trained.dir / "run.json").read_text())["rows"] == 8
    evaluated = make_run("eval", inputs={"prep": trained.dir})
    recipe = {
        "engine": "eval",
        "model": {"from": "prep"},
        "task": task,
        "limit": 6,
        "sampling": {"max_new_tokens": 16},
        "device": "cpu",
    }
    evaluation.run(evaluation.Recipe.model_validate(recipe), evaluated)
    keys = [event["key"] for event in read_events(evaluated) if event["kind"] == "example"]
    assert sorted(keys) == [f"gsm8k-test-{number}/0" for number in range(6)]
