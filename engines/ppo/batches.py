"""Completions as rows of tensors: left-padded prompts, right-padded responses, and which rows go through the model together."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.suite.item import Item


@dataclass(frozen=True)
class Row:
    """One completion of one question."""

    item: Item
    unit: int
    """Number of its task or domain among the run's."""
    group: int
    """Number of its question within the step; completions of one question share it."""
    prompt_ids: list[int]
    response_ids: list[int]
    """Everything that was generated, the end token included."""
    reward: float
    score: float
    """What the grader gave, without any bonus."""
    truncated: bool
    outcome: str
    fallback: bool
    """Right, but not where it was asked for."""
    in_format: bool = False
    """It stands where it was asked for, right or wrong."""
    sampled_logps: list[float] | None = None
    """As the generator saw them, where it is another engine than the one that trains."""


@dataclass(frozen=True)
class Batch:
    """What one forward pass reads; all (rows, tokens)."""

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    responses: Tensor
    """The responses' token ids alone, from their first token on."""

    @property
    def width(self) -> int:
        """Tokens of the longest response."""
        return self.responses.shape[1]


def collate(rows: Sequence[Row], pad: int, device: torch.device) -> Batch:
    """Rows as tensors. Where no row has a response, it is one token of padding wide."""
    before = max(len(row.prompt_ids) for row in rows)
    after = max(1, *(len(row.response_ids) for row in rows))
    ids = torch.full((len(rows), before + after), pad)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        tokens = row.prompt_ids + row.response_ids
        start = before - len(row.prompt_ids)
        ids[place, start : start + len(tokens)] = torch.tensor(tokens)
        mask[place, start : start + len(tokens)] = 1
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    ids = ids.to(device)
    return Batch(ids, mask.to(device), positions.to(device), ids[:, before:])


def response_mask(rows: Sequence[Row], *, mask_truncated: bool) -> Tensor:
    """Which tokens count (rows, tokens of the longest): those of the response, unless its grader failed or it was cut off."""
    width = max(1, *(len(row.response_ids) for row in rows))
    mask = torch.zeros(len(rows), width)
    for place, row in enumerate(rows):
        if row.outcome != "error" and not (mask_truncated and row.truncated):
            mask[place, : len(row.response_ids)] = 1
    return mask


def compared_groups(rows: Sequence[Row]) -> list[int]:
    """Each row's group, to compare rewards within. One whose grader failed is alone: its 0 says nothing of the others."""
    return [row.group if row.outcome != "error" else -1 - number for number, row in enumerate(rows)]


def by_unit(units: Sequence[int], chosen: Sequence[int]) -> dict[int, list[int]]:
    """The chosen rows' numbers, by their unit, in its order."""
    found: dict[int, list[int]] = {}
    for row in chosen:
        found.setdefault(units[row], []).append(row)
    return dict(sorted(found.items()))


def micro_batches(rows: Sequence[int], size: int, parts: int = 1) -> list[list[int]]:
    """Rows in turns of at most `size`, and in at least `parts` of them where there are as many rows."""
    size = min(size, max(1, -(-len(rows) // parts)))
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def mini_batches(rows: Sequence[Row], prompts: int | None, seed: str) -> list[list[int]]:
    """Row numbers of each optimizer step: about `prompts` questions, of every unit its share. None: all rows at once."""
    groups: dict[int, dict[int, list[int]]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(row.unit, {}).setdefault(row.group, []).append(number)
    total = sum(map(len, groups.values()))
    count = 1 if prompts is None else max(1, round(total / prompts))
    if count == 1:
        return [list(range(len(rows)))]
    found: list[list[int]] = [[] for _ in range(count)]
    for unit in sorted(groups):
        order = list(groups[unit].values())
        random.Random(f"{seed} {unit}").shuffle(order)
        for place, members in enumerate(order):
            found[place * count // len(order)] += members
    return [sorted(chosen) for chosen in found if chosen]


def placebo_units(rows: Sequence[Row], chosen: Sequence[int], seed: str) -> Mapping[int, int]:
    """For each chosen row a pseudo-unit: as many of the same sizes as there are units, filled with questions at random."""
    groups = list(dict.fromkeys(rows[number].group for number in chosen))
    unit_of = {rows[number].group: rows[number].unit for number in chosen}
    shuffled = [unit_of[group] for group in groups]
    random.Random(seed).shuffle(shuffled)
    dealt = dict(zip(groups, shuffled, strict=True))
    return {number: dealt[rows[number].group] for number in chosen}
