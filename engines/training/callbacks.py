"""What a TRL trainer tells us while it runs, and how it is asked to stop. Cheap: one small line a step."""

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from engines.distributed.world import World
from engines.run import Run
from engines.training.budget import Meter

_REPORTED = {
    **{
        name: name
        for name in ("loss", "learning_rate", "grad_norm", "mean_token_accuracy", "entropy", "epoch")
    },
    # Step-JEPA
    **{name: name for name in ("lm_loss", "jepa_loss", "jepa_cosine", "jepa_margin", "jepa_weight")},
    **{name: name for name in ("jepa_grad_ratio", "jepa_grad_cosine")},
    # Reinforcement learning
    **{name: name for name in ("reward", "reward_std", "acc_robust", "format_ok", "kl", "live_share")},
    **{name: name for name in ("frac_reward_zero_std", "cispo_clip_ratio", "generation_seconds")},
    "completions/mean_length": "length",
    "completions/min_length": "length/min",
    "completions/max_length": "length/max",
    "completions/mean_terminated_length": "length/terminated",
    "completions/clipped_ratio": "clipped_ratio",
    "clip_ratio/low_mean": "clip_ratio/low",
    "clip_ratio/high_mean": "clip_ratio/high",
    "clip_ratio/region_mean": "clip_ratio",
    "sampling/sampling_logp_difference/mean": "sampling_logp_difference",
}
"""What is written of TRL's logs, and under which name; parts of the reward beside it."""

_PROGRESS_EVERY = 0.25


class EventCallback(TrainerCallback):
    """Writes metrics, progress and checkpoints to the run's events.

    `passes` is how often the trainer's one epoch goes over the data.
    """

    def __init__(self, run: Run, meter: Meter | None = None, passes: float = 1.0) -> None:
        self.run = run
        self.tokens = 0
        self.trained_tokens = 0
        self._meter = meter
        self._passes = passes
        self._tokens_before = 0
        self._trained_before = 0
        self._last_step = 0
        self._last_log = time.monotonic()
        self._last_progress = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # TRL counts from zero after a resume, unless in its state; what came before is in the last entry of the log.
        before = state.log_history[-1] if state.log_history else {}
        self.tokens = before.get("tokens", 0)
        self._tokens_before = self.tokens - getattr(state, "num_input_tokens_seen", 0)
        self._trained_before = self.trained_tokens = before.get("trained_tokens", 0)
        self._last_step, self._last_log = state.global_step, time.monotonic()
        self.run.events.progress(state.global_step, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = time.monotonic()
        if now - self._last_progress >= _PROGRESS_EVERY or state.global_step == state.max_steps:
            self._last_progress = now
            self.run.events.progress(state.global_step, state.max_steps)
            if self._meter is not None:
                self._meter.save()
        # A checkpoint starts a new average of the loss when it is resumed, so it does without an interruption too.
        control.should_log = control.should_log or control.should_save

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_log = control.should_log or control.should_save

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs:
            values = {name: logs[key] for key, name in _REPORTED.items() if logs.get(key) is not None}
            values |= {key: value for key, value in logs.items() if key.startswith("rewards/")}
            values["epoch"] = logs["epoch"] * self._passes
            values |= self._rates(state.global_step, logs)
            self.run.events.metrics(state.global_step, values)
        elif "eval_loss" in logs:
            self.run.events.metrics(state.global_step, {"eval_loss": logs["eval_loss"]})
        # The events hold the history. Kept in the state as well, it would make every checkpoint slower than the last.
        totals = {"tokens": self.tokens, "trained_tokens": self.trained_tokens}
        state.log_history[:] = [{"step": state.global_step, **totals}]

    def _rates(self, step: int, logs: dict[str, float]) -> dict[str, float]:
        now = time.monotonic()
        seconds = max(now - self._last_log, 1e-9)
        # A step that trains on what an earlier one generated has no count of its own.
        tokens = self._tokens_before + int(logs["num_tokens"]) if "num_tokens" in logs else self.tokens
        rates = {
            "tokens": tokens,
            "tokens_per_second": (tokens - self.tokens) / seconds,
            "steps_per_second": (step - self._last_step) / seconds,
        }
        self.tokens, self._last_step, self._last_log = tokens, step, now
        if "num_trained_tokens" in logs:
            self.trained_tokens = self._trained_before + int(logs["num_trained_tokens"])
        return rates

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._last_log = time.monotonic()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._last_log = time.monotonic()
        path = (self.run.checkpoints / f"checkpoint-{state.global_step}").relative_to(self.run.dir)
        self.run.events.emit("checkpoint", step=state.global_step, path=str(path))


class StopOnRequest(TrainerCallback):
    """After SIGTERM, saves a checkpoint and ends training at the next step: the same in all processes of the job."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._saved_step = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # The signal reaches one process before the other, and whoever stopped first would leave the others waiting.
        self.run.stop_requested = World().agree(self.run.stop_requested)
        if self.run.stop_requested:
            control.should_save = True
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved_step = state.global_step

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Stopping ends the epoch, which would write this step's checkpoint once more, over a complete one.
        control.should_save = control.should_save and self._saved_step < state.global_step


class GreedyEvalCallback(TrainerCallback):
    """The greedy accuracy on dev examples: after each evaluation of the dev loss, or `every` so many steps without one."""

    def __init__(
        self, run: Run, accuracies: Callable[[Any], dict[str, float]], every: int | None = None
    ) -> None:
        self.run = run
        self._accuracies = accuracies
        self._every = every

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if self._every and (state.global_step % self._every == 0 or state.global_step == state.max_steps):
            self.run.events.metrics(state.global_step, self._accuracies(model))

    def on_evaluate(
        self, args: Any, state: Any, control: Any, model: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        values = self._accuracies(model)
        self.run.events.metrics(state.global_step, values)
        # For whoever selects the best checkpoint by `metric_for_best_model`.
        metrics.update({f"eval_{name}": value for name, value in values.items()})
