"""Logs to other tools beside our own."""

import json
import sys
from typing import Any

import pytest

from engines.events import EventWriter
from engines.recipe.errors import RecipeError
from engines.recipe.schemas import recipe_class
from engines.run import Run
from engines.sft import Recipe, run
from engines.training.reporting import check_reporters


def recipe(model: Any, sums: Any, **fields: Any) -> Any:
    body = {
        "engine": "sft", "model": {"base": str(model)}, "lora": {"r": 4, "lora_alpha": 8}, "device": "cpu",
        "task": {"name": "gsm8k", "path": str(sums), "dev_examples": 10}, "train_samples": 8, "max_steps": 3,
        "per_device_train_batch_size": 2, "learning_rate": 5e-3, "warmup_steps": 0,
    }  # fmt: skip
    return Recipe.model_validate(body | fields)


@pytest.mark.parametrize(("name", "package"), [("wandb", "wandb"), ("trackio", "trackio")])
def test_a_reporter_that_is_not_installed_is_refused_before_a_model_is_looked_for(
    name: str, package: str, sums: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    one = Run(dir=tmp_path, events=EventWriter(tmp_path), seed=1)
    with pytest.raises(RecipeError, match=f"the package `{package}` is not installed") as refused:
        run(recipe(tmp_path / "no such model", sums, report_to=[name]), one)

    assert f"pip install {package}" in refused.value.hint


def test_nothing_is_reported_unless_it_is_asked_for(tmp_path: Any, sums: Any) -> None:
    assert recipe("pocket", sums).report_to == recipe("pocket", sums, report_to="none").report_to == []
    check_reporters([])


def test_rounds_are_not_reported_where_the_steps_of_one_would_overwrite_those_of_another() -> None:
    body = {"engine": "tpt", "model": {"base": "pocket"}, "task": "pocket-math", "report_to": ["wandb"]}
    with pytest.raises(ValueError, match="`tensorboard` at most"):
        recipe_class("tpt").model_validate(body)


def test_tensorboard_gets_the_losses_that_we_have(tiny_model: Any, sums: Any, tmp_path: Any) -> None:
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    one = Run(dir=tmp_path, events=EventWriter(tmp_path), seed=1, name="full")
    run(recipe(tiny_model, sums, report_to="tensorboard"), one)

    ours = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    expected = {
        e["step"]: e["values"]["loss"] for e in ours if e["kind"] == "metrics" and "loss" in e["values"]
    }
    [path] = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    data, found = path.read_bytes(), {}
    while data:
        length = int.from_bytes(data[:8], "little")
        event = event_pb2.Event.FromString(data[12 : 12 + length])
        for value in event.summary.value:
            if value.tag == "train/loss":
                found[event.step] = value.simple_value or value.tensor.float_val[0]
        data = data[16 + length :]
    assert sorted(expected) == [1, 2, 3]
    assert found == pytest.approx(expected, rel=1e-6)
    assert {"tensorboard"} <= {e["name"] for e in ours if e["kind"] == "artifact"}
