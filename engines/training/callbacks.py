"""What a TRL trainer tells us while it runs, and how it is asked to stop. Cheap: one small line a step."""

import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from engines.run import Run

_REPORTED = ("loss", "learning_rate", "grad_norm", "mean_token_accuracy", "entropy", "epoch")
_PROGRESS_EVERY = 0.25


class EventCallback(TrainerCallback):
    """Writes metrics, progress and checkpoints to the run's events."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.tokens = 0
        self._tokens_before = 0
        self._last_log = time.monotonic()
        self._last_progress = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # TRL counts tokens from zero after a resume; what came before is in the last entry of the log.
        self._tokens_before = self.tokens = state.log_history[-1].get("tokens", 0) if state.log_history else 0
        self._last_log = time.monotonic()
        self.run.events.progress(state.global_step, state.max_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        now = time.monotonic()
        if now - self._last_progress >= _PROGRESS_EVERY or state.global_step == state.max_steps:
            self._last_progress = now
            self.run.events.progress(state.global_step, state.max_steps)
        # A checkpoint starts a new average of the loss when it is resumed, so it does without an interruption too.
        control.should_log = control.should_log or control.should_save

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        control.should_log = control.should_log or control.should_save

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs:
            values = {name: logs[name] for name in _REPORTED if name in logs}
            now = time.monotonic()
            tokens = self._tokens_before + int(logs["num_tokens"])
            values["tokens"] = tokens
            values["tokens_per_second"] = (tokens - self.tokens) / (now - self._last_log)
            self.tokens, self._last_log = tokens, now
            self.run.events.metrics(state.global_step, values)
        elif "eval_loss" in logs:
            self.run.events.metrics(state.global_step, {"eval_loss": logs["eval_loss"]})
        # The events hold the history. Kept in the state as well, it would make every checkpoint slower than the last.
        state.log_history[:] = [{"step": state.global_step, "tokens": self.tokens}]

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._last_log = time.monotonic()

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._last_log = time.monotonic()
        path = (self.run.checkpoints / f"checkpoint-{state.global_step}").relative_to(self.run.dir)
        self.run.events.emit("checkpoint", step=state.global_step, path=str(path))


class StopOnRequest(TrainerCallback):
    """After SIGTERM, saves a checkpoint and ends training at the next step."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._saved_step = 0

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.run.stop_requested:
            control.should_save = True
            control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved_step = state.global_step

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Stopping ends the epoch, which would write this step's checkpoint once more, over a complete one.
        control.should_save = control.should_save and self._saved_step < state.global_step


class GreedyEvalCallback(TrainerCallback):
    """After each evaluation of the dev loss, the greedy accuracy on the same dev examples."""

    def __init__(self, run: Run, accuracies: Callable[[Any], dict[str, float]]) -> None:
        self.run = run
        self._accuracies = accuracies

    def on_evaluate(
        self, args: Any, state: Any, control: Any, model: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        values = self._accuracies(model)
        self.run.events.metrics(state.global_step, values)
        # For whoever selects the best checkpoint by `metric_for_best_model`.
        metrics.update({f"eval_{name}": value for name, value in values.items()})
