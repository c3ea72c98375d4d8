"""Training from the start or on from a checkpoint, whole checkpoints, and the model as it is afterwards."""

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerState

from engines.distributed.world import World


class WholeCheckpoints:
    """To be mixed into a trainer: of several processes, each has saved its part before the checkpoint counts as complete."""

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)  # type: ignore[misc]
        World().wait()  # what follows is the trainer's state file, without which nobody resumes from here

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if World().size > 1 and self.args.device.type == "cpu":  # type: ignore[attr-defined]
            # Accelerate calls the processor `cpu:0`, and to a place of that name torch loads nothing.
            self.args.__dict__["_setup_devices"] = torch.device("cpu")  # type: ignore[attr-defined]
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]


def train(trainer: Any, checkpoint: Path | None) -> None:
    """Train to the end. A checkpoint of the last step is only loaded: the trainer would take one step too many."""
    if checkpoint is None:
        trainer.train()
        return
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if state.global_step < state.max_steps:
        trainer.train(resume_from_checkpoint=str(checkpoint))
        return
    if trainer.args.fsdp:  # its checkpoints are for models in parts
        trainer._prepare_for_training(state.max_steps, trainer.get_train_dataloader(), str(checkpoint))
    else:
        trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = state
    trainer.callback_handler.on_train_begin(trainer.args, state, trainer.control)


def without_autocast(model: Any) -> Any:
    """The model as whoever loads it will run it: training in mixed precision had wrapped its forward pass."""
    original = model.__dict__.pop("_original_forward", None)
    if original is not None:
        model.forward = original
    return model
