"""What every engine that trains on worked solutions asks for: the model, the optimisation, and how it is watched."""

from typing import Literal

from pydantic import Field, model_validator

from engines.recipe.blocks import ModelBlock, Task
from engines.training.training_fields import TrainingRecipe


class SupervisedRecipe(TrainingRecipe):
    """The fields that `engines.training.supervised` reads."""

    model: ModelBlock
    """What to start from."""
    task: Task
    """Where the examples come from."""
    num_train_epochs: float = Field(2.0, gt=0, le=1000)
    """Passes over the examples."""
    learning_rate: float | None = Field(None, gt=0)
    """Peak learning rate. Null: 2e-4 for an adapter, 2e-5 for all weights."""
    per_device_train_batch_size: int = Field(4, ge=1)
    """Rows in one forward pass of one process."""
    gradient_accumulation_steps: int = Field(4, ge=1)
    """Forward passes for one optimizer step; the effective batch is the product of both, and of the processes."""
    distributed: Literal["ddp", "fsdp"] = "ddp"
    """How several processes share the training: `ddp`, each with the whole model, or `fsdp`, each with a part of it."""
    max_length: int = Field(1024, ge=8)
    """Longest row in tokens."""
    drop_long: bool = False
    """Train without the rows that are longer than `max_length`, instead of refusing them."""
    packing: bool = False
    """Put several rows into one sequence of `max_length`, with attention kept apart."""
    save_steps: int | None = Field(None, ge=1)
    """Checkpoint every so many steps. Null: after each epoch."""
    eval_steps: int | None = Field(None, ge=1)
    """Measure loss and greedy accuracy on development examples every so many steps. Null: never."""
    eval_max_new_tokens: int = Field(256, ge=1, le=1 << 20)
    """Longest completion in tokens for that."""

    @model_validator(mode="after")
    def _shards_what_it_can(self) -> "SupervisedRecipe":
        if self.distributed == "fsdp" and self.resources.process_count == 1:
            raise ValueError(
                "`distributed: fsdp` shares a model among processes: set `resources: {gpus: 2}` or more"
            )
        if self.distributed == "fsdp" and self.eval_steps:
            raise ValueError(
                "`distributed: fsdp` cannot generate while it trains: leave `eval_steps` out, and use `eval: true`"
            )
        return self

    @property
    def peak_learning_rate(self) -> float:
        return self.learning_rate or (2e-5 if self.lora is None else 2e-4)
