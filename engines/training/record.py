"""`run.json`: what a training run was, for whoever finds its directory later."""

import json
import resource
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from engines.distributed.world import World
from engines.prompts.spec import PromptSpec
from engines.run import Run, write_whole
from engines.tasks.example import Example
from engines.tasks.loading import data_hash

RECORD = "run.json"
_PACKAGES = ("tunedeck", "torch", "transformers", "trl", "peft", "datasets", "accelerate")


def versions() -> dict[str, str]:
    """Installed versions of what training depends on."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory in use at any time: on the GPU where there is one, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run_facts(
    run: Run, device: torch.device, examples: Sequence[Example], prompt: PromptSpec
) -> dict[str, Any]:
    """What every training run records, whatever it trains on."""
    return {
        "seed": run.seed,
        "attempt": run.attempt,
        "data_hash": data_hash(examples),
        "prompt_hash": prompt.hash(),
        "peak_memory_bytes": peak_memory_bytes(device),
        "device": str(device),
        "processes": World().size,
        "versions": versions(),
    }


def write_record(path: Path, fields: dict[str, Any]) -> None:
    write_whole(path, json.dumps(fields, indent=2, ensure_ascii=False) + "\n")
