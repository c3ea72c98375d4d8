"""vLLM beside a model in training: every step it is given the adapter as it then is, and nothing else.

The base never changes, so a few megabytes are all that a step sends. Merging the adapter and sending all weights, as
trainers do, is slower, rounds in 16 bits, and goes wrong where a back end packs its weights.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from vllm.lora.request import LoRARequest

from engines.generation.vllm import VllmGenerator
from engines.modeling.sources import Source


class VllmPolicy(VllmGenerator):
    """Completions of the model as it is in memory. Whoever trains calls `sync_weights` after each step."""

    def __init__(
        self, model: Any, tokenizer: Any, dtype: str, directory: Path, gpu_memory_utilization: float
    ) -> None:
        self._model = model
        self._directory = directory
        self._version = 0
        base = model.peft_config["default"].base_model_name_or_path
        super().__init__(
            Source(name=base, weights=base),
            dtype,
            tokenizer,
            torch.device(model.device),
            gpu_memory_utilization,
            logprobs=True,
        )
        self._tokenizer_files = str(directory / "tokenizer")
        tokenizer.save_pretrained(self._tokenizer_files)
        self.sync_weights()

    def sync_weights(self) -> None:
        """Hand over the adapter under a new name: vLLM would take one of the same name for the one that it knows."""
        before = self._adapter
        self._version += 1
        place = self._directory / f"v{self._version}"
        self._model.save_pretrained(place, selected_adapters=["default"])
        self._adapter = LoRARequest(f"policy-v{self._version}", self._version, str(place))
        self._source = Source(self._source.name, self._source.weights, adapter=place)
        if before is not None:
            shutil.rmtree(before.lora_path)

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._directory, ignore_errors=True)
