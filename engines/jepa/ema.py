"""A slow average of the weights that are trained, which reads the targets (as BYOL, arXiv 2006.07733, and I-JEPA do).

With LoRA these are the adapter's few, so that a second model costs next to nothing.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import TrainerCallback

FILE = "ema.safetensors"


class SlowWeights(TrainerCallback):
    """Copies of a module's trained parameters, by name, that follow them after each optimizer step.

    In float32 whatever the parameters are in: of a hundredth of a small update nothing is left in 16 bits.
    """

    def __init__(self, module: Any, momentum: float) -> None:
        self._module = module
        self._momentum = momentum
        self.averages: dict[str, Tensor] = {
            name: parameter.detach().float().clone()
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }

    @property
    def weights(self) -> dict[str, Tensor]:
        """The average in the dtype of each parameter, to compute with."""
        trained = dict(self._module.named_parameters())
        return {name: slow.to(trained[name].dtype) for name, slow in self.averages.items()}

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trained = dict(self._module.named_parameters())
        with torch.no_grad():
            for name, slow in self.averages.items():
                slow.lerp_(trained[name].detach().float(), 1 - self._momentum)

    def save(self, directory: Path) -> None:
        save_file(
            {name: tensor.cpu().contiguous() for name, tensor in self.averages.items()}, directory / FILE
        )

    def load(self, directory: Path) -> None:
        for name, tensor in load_file(directory / FILE).items():
            self.averages[name].copy_(tensor)
