"""FSDP2: each of several processes holds a part of the model; what is checked and saved at the end is the whole of it."""

from typing import Any

from accelerate.state import DistributedType, PartialState

from engines.training.resume import WholeCheckpoints


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


def whole_weights(trainer: Any) -> dict[str, Any]:
    """The trained weights by name, on the CPU. All processes must ask; the first one gets them."""
    weights: dict[str, Any] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return weights
