"""One gradient a task, as rows; what a method makes of them; and the update that comes out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.distributed.world import World
from engines.surgery.gramian import Range, combine, flatten, gramian, overlap
from engines.surgery.methods import Method, Situation, decide
from engines.surgery.statistics import Part

Loss = Callable[[list[int]], Tensor]
"""A micro-batch's part of its task's loss."""


@dataclass(frozen=True)
class Rows:
    """Gradients of the tasks (tasks, columns), as far as this process keeps them."""

    whole: Tensor
    halves: Tensor | None
    """Of the two halves of each task's batch (2 x tasks, columns): all first ones, then all second ones."""
    columns: int
    """Of all processes together."""


def collect(
    parameters: Sequence[Tensor],
    tasks: Sequence[Sequence[list[int]]],
    loss: Loss,
    world: World,
    *,
    halved: bool,
) -> Rows:
    """A row for each task from its micro-batches, which are dealt out to the processes.

    `halved` keeps the sums of every other micro-batch apart; the rows are the sums of both.
    """
    parts: list[Tensor] = []
    for half in range(2 if halved else 1):
        for turns in tasks:
            own = turns[half::2] if halved else turns
            clear(parameters)
            for turn in own[world.rank :: world.size]:
                loss(turn).backward()
            parts.append(world.keep(flatten(parameters)))
    clear(parameters)
    found = torch.stack(parts)
    columns = sum(one.numel() for one in parameters)
    if not halved:
        return Rows(found, None, columns)
    return Rows(found[: len(tasks)] + found[len(tasks) :], found, columns)


def pooled(parameters: Sequence[Tensor], turns: Sequence[list[int]], loss: Loss, world: World) -> Tensor:
    """The gradient of everything together, where nobody wants to know whose is whose (columns,)."""
    clear(parameters)
    for turn in turns[world.rank :: world.size]:
        loss(turn).backward()
    found = world.sum(flatten(parameters))
    clear(parameters)
    return found


def operate(
    rows: Rows,
    groups: dict[str, list[Range]],
    method: Method,
    situations: Callable[[str], Situation],
    world: World,
) -> tuple[Tensor, dict[str, Part]]:
    """The update's gradient (columns,) on every process, and what was decided for each group of columns."""
    start, stop = world.share(rows.columns)
    update = torch.zeros(stop - start, device=rows.whole.device)
    parts = {}
    for name, ranges in groups.items():
        own = overlap(ranges, start, stop)
        products = world.sum(gramian(rows.whole, own))
        decision = decide(method, products, situations(name))
        combine(rows.whole, decision.weights, own, update)
        parts[name] = Part(products, decision.weights, decision.coefficients)
    return world.put_together(update, rows.columns), parts


def gramian_of_halves(rows: Rows, world: World) -> Tensor:
    """Inner products of all halves (2 x tasks, 2 x tasks)."""
    assert rows.halves is not None
    return world.sum(gramian(rows.halves, [(0, rows.halves.shape[1])]))


def clear(parameters: Sequence[Tensor]) -> None:
    """No gradients."""
    for one in parameters:
        one.grad = None
