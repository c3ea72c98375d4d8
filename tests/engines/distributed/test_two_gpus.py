"""The same on two real GPUs over NCCL, through the program that the daemon starts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from engines.recipe.document import read_document
from engines.recipe.schemas import recipe_class

ROOT = Path(__file__).parents[3]


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize(
    ("name", "fields"),
    [("sft", {}), ("sft", {"distributed": "fsdp"}), ("grpo", {"per_device_train_batch_size": 8})],
    ids=["ddp", "fsdp", "grpo"],
)
def test_two_gpus_train_one_model(name: str, fields: dict[str, Any], tmp_path: Path) -> None:
    body = read_document(ROOT / "recipes" / "smoke" / f"{name}.yaml").data
    recipe = recipe_class(name).model_validate(body | fields | {"resources": {"gpus": 2}})
    (tmp_path / "recipe.yaml").write_text(recipe.model_dump_json(by_alias=True))
    (tmp_path / "launch.json").write_text(json.dumps({"attempt": 1, "name": name, "inputs": {}}))
    argv = [sys.executable, "-P", "-m", "engines.distributed.launcher", str(tmp_path), "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "0,1"}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["processes"] == 2 and record["device"] == "cuda:0"
