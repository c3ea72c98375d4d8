"""What TRL's trainers are told alike, whatever they train on."""

from typing import Any

import torch

from engines.run import Run
from engines.training.reporting import reporter_arguments
from engines.training.training_fields import TrainingRecipe


def shared_arguments(recipe: TrainingRecipe, run: Run, device: torch.device) -> dict[str, Any]:
    """Fields of `SFTConfig` and `GRPOConfig`; epochs, steps, rates, batches and checkpoints are each trainer's own."""
    on_gpu = device.type == "cuda"
    bf16 = recipe.bf16
    if bf16 is None:
        bf16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    return {
        "output_dir": str(run.checkpoints),
        "seed": run.seed,
        "use_cpu": not on_gpu,
        "bf16": bf16,
        "warmup_steps": recipe.warmup_steps,
        "lr_scheduler_type": recipe.lr_scheduler_type,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.max_grad_norm,
        "gradient_checkpointing": recipe.gradient_checkpointing,
        "logging_steps": recipe.logging_steps,
        "logging_nan_inf_filter": False,  # by default a nan loss is logged as the mean of those before it
        "save_total_limit": recipe.save_total_limit,
        "dataloader_pin_memory": on_gpu,
        "disable_tqdm": True,
        **reporter_arguments(recipe.report_to, run),
    }
