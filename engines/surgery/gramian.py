"""Gradients of several tasks as rows of one matrix, and what can be said of them from their inner products alone.

Every method here is a weighting of the rows, J^T w, whose weights follow from the Gramian G = J J^T (tasks x tasks):
Gradients need not be copied, projected or compared a second time, however large the model is. Rows cost no further
backward pass, as every task has prompts of its own.
"""

import re
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Granularity = Literal["global", "module", "tensor"]
Range = tuple[int, int]

_MODULE = re.compile(r"\.(\d+)\.([A-Za-z_]+)")
"""Block number and part of it in a parameter's name: `model.layers.3.self_attn.q_proj.lora_A.weight`."""


def flatten(parameters: Sequence[Tensor]) -> Tensor:
    """Their gradients in float32, one after the other; zeros where there is none."""
    return torch.cat(
        [(torch.zeros_like(one) if one.grad is None else one.grad).reshape(-1).float() for one in parameters]
    )


def unflatten(vector: Tensor, parameters: Sequence[Tensor]) -> None:
    """Make a vector the gradients."""
    place = 0
    for one in parameters:
        part = vector[place : place + one.numel()]
        one.grad = part.view_as(one).to(one.dtype)
        place += one.numel()


def groups_of(names: Sequence[str], sizes: Sequence[int], granularity: Granularity) -> dict[str, list[Range]]:
    """Which columns decide together: all; those of a block's attention or feed-forward part; or those of a tensor."""
    found: dict[str, list[Range]] = {}
    place = 0
    for name, size in zip(names, sizes, strict=True):
        key = _group(name, granularity)
        ranges = found.setdefault(key, [])
        if ranges and ranges[-1][1] == place:
            ranges[-1] = (ranges[-1][0], place + size)
        else:
            ranges.append((place, place + size))
        place += size
    return found


def _group(name: str, granularity: Granularity) -> str:
    if granularity == "global":
        return "all"
    if granularity == "tensor":
        return name
    module = _MODULE.search(name)
    return f"{module[1]}.{module[2]}" if module else "outside"


def gramian(rows: Tensor, ranges: Sequence[Range]) -> Tensor:
    """G (tasks, tasks) in float64 of the columns in these ranges of rows (tasks, columns)."""
    found = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for start, stop in ranges:
        part = rows[:, start:stop]
        found += (part @ part.T).double().cpu()
    return found


def combine(rows: Tensor, weights: Tensor, ranges: Sequence[Range], into: Tensor) -> None:
    """J^T w for the columns in these ranges, written into a vector of all columns."""
    chosen = weights.to(rows)
    for start, stop in ranges:
        into[start:stop] = chosen @ rows[:, start:stop]


def overlap(ranges: Sequence[Range], start: int, stop: int) -> list[Range]:
    """The ranges within [start, stop), counted from its start."""
    cut = [(max(a, start) - start, min(b, stop) - start) for a, b in ranges]
    return [(a, b) for a, b in cut if a < b]
