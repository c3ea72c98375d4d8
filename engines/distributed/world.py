"""Several processes that train one model: first everything is summed, then everybody decides the same.

Averaging and projecting do not commute: processes that each looked for conflicts in their own part of the batch would
disagree on what conflicts. So a task's gradient is summed over all processes, each keeps its share of the columns, the
Gramian is the sum over the shares, and the combined gradient is put together again. What is sent is what ordinary
data-parallel training sends for each task; what is held is tasks x columns / processes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from engines.distributed.launcher import MEETING_SOCKET

PATIENCE = timedelta(hours=2)
"""How long one process waits for another that lives. One that has died ends its job at once."""

Kind = TypeVar("Kind")


class World:
    """The processes of a job. A job of one needs no set-up and sends nothing."""

    def __init__(self) -> None:
        active = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if active else 0
        self.size = dist.get_world_size() if active else 1

    @property
    def leads(self) -> bool:
        """Whether this process writes: events, checkpoints, the model."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def agree(self, flag: bool) -> bool:
        """Whether any process says so; all get the same answer."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor([float(flag)])).item())

    def gather_objects(self, mine: Kind) -> list[Kind]:
        """What each process has, in order of rank."""
        if self.size == 1:
            return [mine]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, mine)
        return found

    def wait(self) -> None:
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """What the first process does in this block, for example writing files, the others find done."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def share(self, columns: int) -> tuple[int, int]:
        """The columns that this process keeps: start and stop."""
        return self.rank * columns // self.size, (self.rank + 1) * columns // self.size

    def keep(self, gradient: Tensor) -> Tensor:
        """This process's share of a gradient that is summed over all."""
        start, stop = self.share(len(gradient))
        return self.sum(gradient)[start:stop]

    def put_together(self, part: Tensor, columns: int) -> Tensor:
        """The whole of which every process has its share."""
        if self.size == 1:
            return part
        whole = torch.zeros(columns, dtype=part.dtype, device=part.device)
        start, stop = self.share(columns)
        whole[start:stop] = part
        return self.sum(whole)


@contextmanager
def joined_world() -> Iterator[World]:
    """The processes that were started for this job, by us or by `accelerate launch` or `torchrun`; alone, if there are none."""
    joins = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized()
    if joins:
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
            backend = "cpu:gloo,cuda:nccl"  # what is agreed on between steps need not wait for the GPU
        # Rollouts of one process may take long after those of another are done.
        dist.init_process_group(backend, timeout=PATIENCE, **_meeting_place())
    try:
        yield World()
    finally:
        if joins:
            dist.destroy_process_group()


def _meeting_place() -> dict[str, Any]:
    """Where the processes find each other: at the socket that our launcher listens on already, so that no other job can
    have taken its number meanwhile; else where the environment says."""
    if MEETING_SOCKET not in os.environ:
        return {}
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    store = dist.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        size,
        is_master=rank == 0,
        timeout=PATIENCE,
        master_listen_fd=int(os.environ[MEETING_SOCKET]) if rank == 0 else None,
    )
    return {"store": store, "rank": rank, "world_size": size}
