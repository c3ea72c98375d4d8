"""Which tokens are steered and how strongly: `Where` and schedules as numbers, for the columns of one forward pass."""

from collections.abc import Sequence

import torch

from engines.steer.directions import Steering
from engines.steer.spec import Dac, Schedule, Where


def weights(
    rows: Sequence[Steering | None],
    mask: torch.Tensor,
    input_ids: torch.Tensor | None,
    past: int,
    last: torch.Tensor,
    lengths: torch.Tensor,
) -> torch.Tensor:
    """(rows, columns) in float32: 0 where nothing is steered, else what the schedule multiplies the strength by.

    `mask` (rows, past + columns) is 1 on text; `last` (rows,) the columns of the prompts' last tokens; `lengths` (rows,)
    the prompts' lengths. A token's step is its distance from `last`, whether it comes alone or in a chunk.
    """
    width = mask.shape[1] - past
    step = torch.arange(past, past + width, device=mask.device)[None] - last[:, None]
    result = torch.zeros(len(rows), width, dtype=torch.float32, device=mask.device)
    kinds = [
        None if row is None or row.spec.alpha == 0 else (row.spec.where, row.spec.schedule) for row in rows
    ]
    for kind in dict.fromkeys(kind for kind in kinds if kind is not None):
        chosen = torch.tensor(
            [place for place, other in enumerate(kinds) if other == kind], device=mask.device
        )
        where, schedule = kind
        ids = None if input_ids is None else input_ids[chosen]
        at = _chosen(where, mask[chosen], ids, step[chosen], lengths[chosen])
        result[chosen] = at * _strength(schedule, step[chosen])
    return result * mask[:, past:].ne(0)


def constant_from(rows: Sequence[Steering | None], last: Sequence[int]) -> int | None:
    """The column from which on every text token of every steered row has weight 1; None where there is none.

    From there on nothing needs to be worked out column by column, which is nearly all of what a hook costs.
    """
    first = 0
    for row, column in zip(rows, last, strict=True):
        if row is None or row.spec.alpha == 0:
            continue
        where = row.spec.where
        if row.spec.schedule.kind != "const" or where.generation != "all":
            return None
        first = max(first, column if where.prompt in ("last", "all") else column + 1)
    return first


def _chosen(
    where: Where, mask: torch.Tensor, ids: torch.Tensor | None, step: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """Whether a token is one of those that `where` names; (rows, columns)."""
    prompt = step <= 0
    if where.prompt == "none":
        prompt = torch.zeros_like(prompt)
    elif where.prompt == "last":
        prompt = step == 0
    elif where.prompt_window is not None:
        # Counted over real tokens, so that padding on the left, or after a shared beginning, moves nothing.
        position = (mask.ne(0).cumsum(dim=-1) - 1)[:, -step.shape[1] :]
        start, stop = where.prompt_window
        first = (lengths + start if start < 0 else torch.full_like(lengths, start))[:, None]
        end = (lengths + stop if stop <= 0 else torch.full_like(lengths, stop))[:, None]
        prompt = prompt & (position >= first) & (position < end)
    written = step > 0
    if where.generation == "none":
        written = torch.zeros_like(written)
    elif where.generation_window is not None:
        start, stop = where.generation_window
        written = written & (step > start) & (step <= stop)
    elif where.generation == "tokens":
        assert ids is not None, "which tokens come in is not seen by a model that is called with embeddings"
        written = written & torch.isin(ids, torch.tensor(where.tokens, device=ids.device))
    return prompt | written


def _strength(schedule: Schedule | Dac, step: torch.Tensor) -> torch.Tensor:
    """What the schedule multiplies the strength by. A `dac` row's strengths come from its other branches."""
    t = step.clamp(min=0).to(torch.float32)
    if schedule.kind == "linear_decay" and schedule.steps is not None:
        return (1 - t / schedule.steps).clamp(min=0)
    if schedule.kind == "exp" and schedule.rate is not None:
        return torch.exp(-schedule.rate * t)
    if schedule.kind == "first_k" and schedule.steps is not None:
        return (t < schedule.steps).to(torch.float32)
    return torch.ones_like(t)
