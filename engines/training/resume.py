"""Training from the start or on from a checkpoint, and the model as it is afterwards."""

from pathlib import Path
from typing import Any

from transformers import TrainerState


def train(trainer: Any, checkpoint: Path | None) -> None:
    """Train to the end. A checkpoint of the last step is only loaded: the trainer would take one step too many."""
    if checkpoint is None:
        trainer.train()
        return
    state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))
    if state.global_step < state.max_steps:
        trainer.train(resume_from_checkpoint=str(checkpoint))
        return
    trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = state
    trainer.callback_handler.on_train_begin(trainer.args, state, trainer.control)


def without_autocast(model: Any) -> Any:
    """The model as whoever loads it will run it: training in mixed precision had wrapped its forward pass."""
    original = model.__dict__.pop("_original_forward", None)
    if original is not None:
        model.forward = original
    return model
