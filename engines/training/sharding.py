"""FSDP2: each of several processes holds a part of the model; what is checked and saved at the end is the whole of it."""

from typing import Any

import torch
from accelerate.state import DistributedType, PartialState

from engines.distributed.world import World
from engines.modeling.loading import load_model
from engines.run import Run
from engines.training.resume import WholeCheckpoints
from engines.training.supervised_fields import SupervisedRecipe


class ShardableTrainer(WholeCheckpoints):
    """To be mixed into a trainer: sharding on the CPU too, and the trained weights put together."""

    def create_accelerator_and_postprocess(self) -> None:
        """Accelerate shards models only where it knows of several devices, and would train whole copies on the CPU without
        a word. torch itself shards over gloo as it does over NCCL, so it is told of several devices."""
        sharded = bool(self.args.fsdp)  # type: ignore[attr-defined]
        if sharded and PartialState().distributed_type == DistributedType.MULTI_CPU:
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU
        super().create_accelerator_and_postprocess()  # type: ignore[misc]
        found = self.accelerator.distributed_type  # type: ignore[attr-defined]
        assert not sharded or found == DistributedType.FSDP, found


def is_sharded(trainer: Any) -> bool:
    return bool(trainer.accelerator.distributed_type == DistributedType.FSDP)


def put_together(trainer: Any, recipe: SupervisedRecipe, run: Run, tokenizer: Any) -> Any:
    """The model as it was before training, on the CPU, in the first process with the weights that were trained in parts.

    All processes must call it, for each has its part to send.
    """
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    model = load_model(
        recipe.model,
        run,
        tokenizer=tokenizer,
        device=torch.device("cpu"),
        trainable=True,
        lora=recipe.lora,
        chain=recipe.chain,
    )
    if World().leads:
        model.load_state_dict(weights)
    return model
