"""When to stop: validations without improvement, counted, and none of it before a first number of epochs."""

import math
from dataclasses import dataclass, replace
from typing import Literal

Mode = Literal["max", "min"]
Unit = Literal["validations", "epochs"]


@dataclass(frozen=True)
class Rule:
    """The recipe's rule."""

    min_epochs: int = 10
    patience: int = 3
    min_delta: float = 0.001
    mode: Mode = "max"
    unit: Unit = "validations"
    """What patience counts: validations without improvement, or epochs since the best."""


@dataclass(frozen=True)
class Progress:
    """What has been seen so far; part of every checkpoint."""

    best: float | None = None
    best_epoch: int = 0
    bad: int = 0
    """Validations in a row that improved nothing. They count before `min_epochs` too."""
    stop: bool = False

    def after(self, epoch: int, value: float | None, rule: Rule) -> "Progress":
        """After the validation at the end of an epoch, from 1 on; 0 is the one before training, which never counts as bad."""
        known = value is not None and not math.isnan(value)
        if known and value is not None and self._improves(value, rule):
            return replace(self, best=value, best_epoch=epoch, bad=0, stop=False)
        bad = self.bad + (epoch > 0)
        waited = bad if rule.unit == "validations" else epoch - self.best_epoch
        return replace(self, bad=bad, stop=epoch >= rule.min_epochs and waited >= rule.patience)

    def _improves(self, value: float, rule: Rule) -> bool:
        """By more than `min_delta`, not by just that much. The first value is an improvement on nothing."""
        if self.best is None:
            return True
        return (
            value > self.best + rule.min_delta if rule.mode == "max" else value < self.best - rule.min_delta
        )
