"""AdamW on a fixed list of parameters, given a whole gradient as one vector."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from engines.ppo.learning_fields import OptimBlock
from engines.surgery.gramian import unflatten
from engines.surgery.rows import clear


class Optimizer:
    """The parameters are those of the beginning: which of them require a gradient changes with the active adapter."""

    def __init__(
        self, named: Sequence[tuple[str, Tensor]], block: OptimBlock, rate: float, clip: float
    ) -> None:
        self.named = list(named)
        self.parameters = [one for _, one in named]
        self.steps = 0
        self._adamw = torch.optim.AdamW(
            self.parameters, lr=rate, betas=block.betas, weight_decay=block.weight_decay, foreach=False
        )
        self._rate, self._clip, self._warmup = rate, clip, block.lr_warmup_steps

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        return self._rate * min(1.0, (self.steps + 1) / max(1, self._warmup))

    def step(self, update: Tensor) -> float:
        """A step along a gradient (columns,); its length before it was clipped."""
        unflatten(update, self.parameters)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self._clip)
        for group in self._adamw.param_groups:
            group["lr"] = self.rate
        self._adamw.step()
        self.steps += 1
        clear(self.parameters)
        return float(norm)

    def state(self) -> dict[str, Any]:
        """What a resumed run needs beside the weights."""
        return {"adamw": self._adamw.state_dict(), "steps": self.steps}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        self._adamw.load_state_dict(state["adamw"])
        self.steps = state["steps"]
