"""What every engine that trains an adapter or all weights asks for alike, and what TRL is told of it."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import BaseRecipe, LoraBlock

Reporter = Literal["tensorboard", "wandb", "trackio"]


def _as_list(value: object) -> object:
    """`none` is transformers' own word for nothing."""
    return ([] if value == "none" else [value]) if isinstance(value, str) else value


class TrainingRecipe(BaseRecipe):
    """The adapter, the prompt, the optimisation, and how often something is written down."""

    lora: LoraBlock | None = LoraBlock()
    """The adapter to train; null trains all weights."""
    chain: Literal["continue", "merge"] = "continue"
    """After an adapter: train it further, or merge it into the weights and start a new one."""
    prompt: PromptSpec = PromptSpec()
    """How questions are put and answers are delimited."""
    max_steps: int = Field(-1, ge=-1, le=1_000_000)
    """Optimizer steps; -1 leaves it to the epochs."""
    warmup_steps: float = Field(0.05, ge=0)
    """Steps of linear warm-up; below 1 it is a share of all steps."""
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    """How the learning rate falls after the warm-up."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's weight decay."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to this norm."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: about a third slower, far less memory."""
    bf16: bool | None = None
    """Compute in bfloat16 (weights keep their dtype). Null: on GPUs that can."""
    logging_steps: int = Field(1, ge=1)
    """Log every so many steps."""
    save_total_limit: int = Field(2, ge=1)
    """Checkpoints to keep."""
    eval_samples: int = Field(64, ge=1)
    """Development examples that `eval_steps` asks."""
    report_to: Annotated[list[Reporter], BeforeValidator(_as_list)] = []
    """Where the trainer's logs go beside Tunedeck's own: `tensorboard`, `wandb`, `trackio`."""

    @field_validator("max_steps")
    @classmethod
    def _takes_a_step(cls, steps: int) -> int:
        if steps == 0:
            raise ValueError("0 steps train nothing; -1 leaves the number to `num_train_epochs`")
        return steps
