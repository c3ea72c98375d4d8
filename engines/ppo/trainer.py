"""The run: steps and epochs, validation, early stopping and checkpoints, from wherever an earlier attempt got to."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from engines.distributed.world import World
from engines.modeling.loading import save_model
from engines.modeling.sources import moved
from engines.ppo.batches import Row
from engines.ppo.checkpoints import BEST, FINAL, PREEMPT, START, Checkpoints, name_of, state_of
from engines.ppo.early_stop import Progress
from engines.ppo.experience import Observer
from engines.ppo.fields import MtlPpoRecipe
from engines.ppo.learner import Learner
from engines.ppo.losses import KlController
from engines.ppo.mixture import Mixture
from engines.ppo.policy import ActorCritic
from engines.ppo.questions import Questions
from engines.ppo.reporting import SurgeryLog, experience_figures, validation_figures
from engines.ppo.rollout import Rollout
from engines.run import Run

_PROGRESS_EVERY = 0.25


@dataclass
class Trainer:
    """Everything a run is made of."""

    recipe: MtlPpoRecipe
    run: Run
    models: ActorCritic
    questions: Questions
    mixture: Mixture
    rollout: Rollout
    observer: Observer
    learner: Learner
    world: World
    generator: Any
    """What the rollouts come from; one with a copy of the weights is told when they change."""
    tokenizer: Any
    made_from: list[dict[str, Any]]
    """The model's lineage, for the run's model directory."""

    def __post_init__(self) -> None:
        block = self.recipe.trainer
        control = self.recipe.algorithm.kl_ctrl
        self.done = 0
        self.progress = Progress()
        self.best_by_task: dict[str, tuple[float, int]] = {}
        """Best validation of each task and its epoch: what stopping all at once cost each."""
        self.kl = KlController(
            control.kl_coef, control.target_kl if control.type == "adaptive" else None, control.horizon
        )
        self.checkpoints = Checkpoints(self.run.checkpoints, block.max_actor_ckpt_to_keep)
        self.steps_per_epoch = self.mixture.steps_per_epoch
        self.total = block.total_epochs * self.steps_per_epoch
        self.tokens = 0
        self._shown = 0.0

    def train(self) -> bool:
        """To the last epoch, or until validations no longer improve. False where it was asked to stop before."""
        self._resume()
        self._log = SurgeryLog(self.run.dir, self.questions.units, self.done)
        if not self.done:
            self._save(START)
        if not self.done and self.recipe.trainer.val_before_train and self.recipe.trainer.test_freq:
            self._validate(0)
        for step in range(self.done + 1, self.total + 1):
            if self.progress.stop and self.recipe.trainer.early_stopping:
                break
            self.run.events.metrics(step, self._step(step))
            self.done = step
            if step % self.steps_per_epoch == 0:
                self._end_epoch(step // self.steps_per_epoch)
            self._save_if_due(step)
            self._show(step)
            if self.world.agree(self.run.stop_requested) and not self._is_over:
                self._save(PREEMPT)
                return False
        self._save(FINAL)
        return True

    @property
    def epoch(self) -> int:
        """Epochs that are behind."""
        return self.done // self.steps_per_epoch

    @property
    def _is_over(self) -> bool:
        stopped = self.progress.stop and self.recipe.trainer.early_stopping
        return stopped or self.done == self.total

    def _step(self, step: int) -> dict[str, float]:
        began = time.monotonic()
        every = self.recipe.mtl.stats_every
        measure = bool(every) and (step - 1) % every == 0
        algorithm = self.recipe.algorithm
        needed = algorithm.use_kl_in_reward or self.recipe.actor.use_kl_loss
        self.models.act()
        drawn = {self.questions.units.index(unit): items for unit, items in self.mixture.draw(step).items()}
        rows = self.rollout.rows(drawn, self.recipe.rollout.n, self.recipe.rollout.sampling(), f"step {step}")
        generated = time.monotonic()
        if step == 1 and self.models.critic:
            earned = [row.reward for row in rows if row.outcome != "error"]
            self.models.expect(sum(earned) / max(len(earned), 1))
        with_reference = self.models.has_reference and (needed or measure)
        seen = self.observer.observe(rows, self.kl.coefficient, with_reference=with_reference)
        figures = experience_figures(seen, self.questions.units, critic=self.models.critic is not None)
        if algorithm.use_kl_in_reward:
            figures["kl_coefficient"] = self.kl.coefficient
            self.kl.update(figures["kl"], len(rows))
        learnt, operation = self.learner.learn(seen, step, measure=measure)
        if operation is not None:
            placebo = self.recipe.mtl.effective == "pcgrad_placebo"
            figures |= self._log.write(step, operation, placebo=placebo) if self.world.leads else {}
        if hasattr(self.generator, "sync_weights"):
            self.generator.sync_weights()
        self.tokens += sum(len(row.response_ids) for row in rows)
        seconds = time.monotonic() - began
        speed = {"tokens": self.tokens, "step_seconds": seconds, "generation_seconds": generated - began}
        return {**figures, **learnt, **speed, "epoch": (step - 1) // self.steps_per_epoch + 1}

    def _end_epoch(self, epoch: int) -> None:
        every = self.recipe.trainer.test_freq
        if every and (epoch % every == 0 or epoch == self.recipe.trainer.total_epochs):
            self._validate(epoch)

    def _validate(self, epoch: int) -> None:
        """Ask the validation questions, and judge whether it is still worth going on."""
        self.models.act()
        tasks = list(self.questions.val)
        drawn = {place: self.questions.val[task] for place, task in enumerate(tasks)}
        kwargs = self.recipe.rollout.val_kwargs
        # Every epoch is asked alike, noise included, so that its differences are those of the policy.
        rows: list[Row] = self.rollout.rows(drawn, kwargs.n, self.recipe.rollout.validation(), "validation")
        figures = validation_figures(rows)
        self.run.events.metrics(self.done, figures)
        for task in tasks:
            value = figures.get(f"validation_reward/{task}")
            if value is not None and value > self.best_by_task.get(task, (float("-inf"), 0))[0]:
                self.best_by_task[task] = (value, epoch)
        watched = figures.get(self.recipe.trainer.early_stopping_metric)
        if watched is None:
            self.run.events.message(f"epoch {epoch}: no validation answer could be graded", "warning")
        self.progress = self.progress.after(epoch, watched, self.recipe.trainer.rule())
        if self.progress.best_epoch == epoch and self.progress.best is not None:
            self._save(BEST)
        if self.progress.stop and self.recipe.trainer.early_stopping:
            best = "no validation gave a value"
            if self.progress.best is not None:
                best = f"the best was {self.progress.best:.4f} in epoch {self.progress.best_epoch}"
            self.run.events.message(f"stopped early after epoch {epoch}: {best}")

    def _save_if_due(self, step: int) -> None:
        block = self.recipe.trainer
        count, rest = (step, 0) if block.save_unit == "steps" else divmod(step, self.steps_per_epoch)
        if rest == 0 and count % block.save_freq == 0:
            self._save(name_of(block.save_unit, count))

    def _save(self, name: str) -> None:
        """One process writes; the others wait, so that nobody goes on from what is not there."""
        if self.world.leads:
            place = self.checkpoints.save(name, self._state(), lambda at: self._write(at, name))
            path = str(place.relative_to(self.run.dir))
            self.run.events.emit("checkpoint", step=self.done, path=path)
        self.world.wait()

    def _write(self, directory: Path, name: str) -> None:
        policy = directory / "policy"
        save_model(self.models, self.tokenizer, policy, moved(self.made_from, self.run.model, policy))
        if name not in (BEST, START):
            save_file(
                {key: one.contiguous() for key, one in self.models.tensors().items()},
                directory / "weights.safetensors",
            )
            torch.save(self.learner.state(), directory / "learner.pt")

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.done,
            "epoch": self.epoch,
            "early_stopping": asdict(self.progress),
            "best_by_task": self.best_by_task,
            "kl_coefficient": self.kl.coefficient,
            "cursors": self.mixture.cursors,
            "tokens": self.tokens,
            "recipe": json.loads(self.recipe.model_dump_json(by_alias=True)),
        }

    def _resume(self) -> None:
        place = self.checkpoints.newest()
        if place is None:
            return
        state: Mapping[str, Any] = state_of(place)
        self.done = state["step"]
        self.progress = Progress(**state["early_stopping"])
        self.best_by_task = {task: (value, epoch) for task, (value, epoch) in state["best_by_task"].items()}
        self.kl.coefficient = state["kl_coefficient"]
        self.mixture.cursors = dict(state["cursors"])
        self.tokens = state["tokens"]
        self.models.restore(load_file(place / "weights.safetensors"))
        # Ours, written by this very job: its optimizers hold more than plain tensors.
        self.learner.restore(torch.load(place / "learner.pt", map_location="cpu", weights_only=True))
        if hasattr(self.generator, "sync_weights"):
            self.generator.sync_weights()
        self._show(self.done)

    def _show(self, step: int) -> None:
        now = time.monotonic()
        if now - self._shown >= _PROGRESS_EVERY or step == self.total:
            self._shown = now
            self.run.events.progress(step, self.total)
