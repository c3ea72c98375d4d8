"""Watches the figures of a GRPO run, and ends or warns about one that learns nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from transformers import TrainerCallback

from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.training.health_block import HealthBlock

Logs = dict[str, float]

_FLAT = 0.02
"""A reward that has risen by less than this has not risen."""


@dataclass(frozen=True)
class Check:
    """One figure: whether it is bad, what that means, and what helps."""

    bad: Callable[[Logs, float, Logs], bool]
    """Given the log, the limit, and the first log of the run."""
    meaning: str
    hint: str


def _above(name: str) -> Callable[[Logs, float, Logs], bool]:
    return lambda logs, limit, _first: name in logs and logs[name] >= limit


def _below(name: str) -> Callable[[Logs, float, Logs], bool]:
    return lambda logs, limit, _first: name in logs and logs[name] < limit


def _zero(name: str) -> Callable[[Logs, float, Logs], bool]:
    return lambda logs, _limit, _first: logs.get(name) == 0


def _longer_and_no_better(logs: Logs, growth: float, first: Logs) -> bool:
    length = "completions/mean_length"
    if length not in logs or "reward" not in logs:
        return False
    return logs[length] >= growth * first[length] and logs["reward"] < first["reward"] + _FLAT


CHECKS: dict[str, Check] = {
    "frac_reward_zero_std": Check(
        _above("frac_reward_zero_std"),
        "nearly all groups are dead: their completions all earn the same, and teach nothing",
        "start from a model that solves some questions, use `difficulty`, or raise `num_generations`",
    ),
    "clipped_ratio": Check(
        _above("completions/clipped_ratio"),
        "completions run into the length limit before they end",
        "raise `max_completion_length`, or teach the format first with `sft`, stage `prep`",
    ),
    "no_end": Check(
        _zero("completions/mean_terminated_length"),
        "no completion ends by itself",
        "raise `max_completion_length`, or teach the format first with `sft`, stage `prep`",
    ),
    "no_gradient": Check(
        _zero("grad_norm"),
        "the gradient is exactly zero, so nothing is trained",
        "check that rewards differ within groups, and that the adapter is trainable",
    ),
    "min_entropy": Check(
        _below("entropy"),
        "the entropy is so low that all completions of a question are the same",
        "lower `learning_rate`, raise `temperature`, or give `entropy_coef` or `epsilon_high`",
    ),
    "max_kl": Check(
        _above("kl"),
        "the model has moved far away from where it started",
        "lower `learning_rate`, or raise `beta`",
    ),
    "sampling_logp_difference": Check(
        _above("sampling/sampling_logp_difference/mean"),
        "what samples and what is trained disagree about probabilities",
        "check the precision of both, and that the weights are synchronised",
    ),
    "length_growth": Check(
        _longer_and_no_better,
        "completions have become much longer than at the start, and earn no more",
        "check the reward for points that length alone earns, or set `reward.soft_punish_cache`",
    ),
}


class GRPOHealthCallback(TrainerCallback):
    """Counts, for each check, in how many logs in a row its figure was bad."""

    def __init__(self, run: Run, block: HealthBlock) -> None:
        self._run = run
        self._block = block
        self._bad = dict.fromkeys(CHECKS, 0)
        self._start: list[Logs] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Logs, **_: Any) -> None:
        if "loss" not in logs:
            return
        known = {name: value for name, value in logs.items() if value is not None}
        first = self._first(known)
        for name, check in CHECKS.items():
            limit = getattr(self._block, name)
            if limit is None or limit is False:
                continue
            self._bad[name] = self._bad[name] + 1 if check.bad(known, float(limit), first) else 0
            if self._bad[name] == self._block.logs:
                self._report(name, check, state.global_step)

    def _first(self, logs: Logs) -> Logs:
        """Reward and length at the start: means over as many logs as a check needs."""
        if len(self._start) < self._block.logs and "reward" in logs:
            self._start.append(logs)
        names = ("reward", "completions/mean_length")
        return {name: mean(entry[name] for entry in self._start) for name in names} if self._start else {}

    def _report(self, name: str, check: Check, step: int) -> None:
        text = f"health.{name}: {check.meaning} (in {self._block.logs} logs in a row, up to step {step})"
        if name in self._block.warn_only:
            self._run.events.message(f"{text}; {check.hint}", "warning")
            return
        raise RecipeError(text, hint=f"{check.hint}; `health: {{{name}: null}}` switches this check off")
