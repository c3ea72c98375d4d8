"""The gradient of one GRPO step by TRL and by ours, of one process of two; started by `test_shared_grpo.py`."""

import os
import runpy
from pathlib import Path

import torch
from trl import GRPOTrainer

from engines.distributed.world import joined_world
from engines.training.live_groups import LiveGroupGRPOTrainer

folder, model, loss, environment = arguments  # type: ignore[name-defined]  # noqa: F821
os.environ |= environment
bench = runpy.run_path(str(Path(__file__).parent.parent / "training" / "test_live_groups.py"))
prompts = (bench["LIVE"][0], bench["DEAD"][0], bench["DEAD"][1], bench["DEAD"][0])
options = bench["options_of"](loss) | {"processes": 2}
with joined_world():
    found = [
        bench["one_step"](kind, model, folder, prompts, **options)
        for kind in (GRPOTrainer, LiveGroupGRPOTrainer)
    ]
(theirs, _), (ours, logs) = found
torch.save((theirs, ours, logs["live_share"]), f"{folder}/{environment['RANK']}.pt")
