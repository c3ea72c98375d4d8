"""What a run leaves: its policy as a model, checked, and the record of how it came about."""

import shutil
from typing import Any

import torch

from engines.modeling.loading import save_model, write_lineage
from engines.ppo.checkpoints import BEST
from engines.ppo.policy import ActorCritic
from engines.ppo.trainer import Trainer
from engines.training import postflight
from engines.training.record import RECORD, peak_memory_bytes, versions, write_record

_SAMPLED = 65_536
"""Elements of each tensor that are remembered."""


def snapshot(models: ActorCritic) -> dict[str, torch.Tensor]:
    """A sample of the policy's weights, to compare with after training."""
    return {name: one.detach().flatten()[:_SAMPLED].cpu().clone() for name, one in models.policy}


def finish(trainer: Trainer, before: dict[str, torch.Tensor]) -> None:
    """Check what was trained, leave the best or the last policy, and write down what happened."""
    recipe, run, models = trainer.recipe, trainer.run, trainer.models
    model = models.act()
    postflight.check_finite(model)
    changed = postflight.check_weights_changed(before, snapshot(models))
    if remark := postflight.hardly_changed(changed):
        run.events.message(remark, "warning")
    prompts = [trainer.rollout.prompt(item) for items in trainer.questions.val.values() for item in items[:2]]
    no_best = recipe.trainer.save_model == "best" and trainer.progress.best is None
    if no_best:
        run.events.message(
            "no validation gave a value, so the last policy is left instead of the best", "warning"
        )
    if recipe.trainer.save_model == "final" or no_best:
        save_model(models, trainer.tokenizer, run.model, trainer.made_from)
        postflight.check_saved(model, trainer.tokenizer, run.model, prompts[:8])
    else:
        _take_best(trainer)
    write_record(run.dir / RECORD, _record(trainer, changed))
    if trainer.progress.best is not None:
        fields = {"epoch": trainer.progress.best_epoch}
        run.events.emit("score", name="best_validation_reward", value=trainer.progress.best, fields=fields)
    run.events.emit("artifact", name="model", path="model")
    run.events.emit("artifact", name="run", path=RECORD)


def _take_best(trainer: Trainer) -> None:
    """The policy of the best validation, as the model of the job."""
    run = trainer.run
    place = run.checkpoints / BEST / "policy"
    shutil.copytree(place, run.model, dirs_exist_ok=True)
    write_lineage(run.model, trainer.made_from)  # its own names places relative to the checkpoint


def _record(trainer: Trainer, changed: float) -> dict[str, Any]:
    questions, recipe, progress = trainer.questions, trainer.recipe, trainer.progress
    return {
        "engine": "mtl_ppo",
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "seed": trainer.run.seed,
        "attempt": trainer.run.attempt,
        "device": str(trainer.models.model.device),
        "processes": trainer.world.size,
        "peak_memory_bytes": peak_memory_bytes(trainer.models.model.device),
        "versions": versions(),
        "lineage": trainer.made_from,
        "units": {unit: len(items) for unit, items in questions.train.items()},
        "data_hash": questions.hash(),
        "contaminated": questions.shared,
        "too_long": questions.too_long,
        "steps": trainer.done,
        "epochs": trainer.epoch,
        "tokens": trainer.tokens,
        "trainable_parameters": sum(one.numel() for _, one in trainer.models.policy),
        "changed_parameters": changed,
        "stopped_early": progress.stop and recipe.trainer.early_stopping,
        "best": progress.best,
        "best_epoch": progress.best_epoch,
        "best_by_task": trainer.best_by_task,
    }
