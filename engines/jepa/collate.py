"""Packed rows of different lengths as one batch of tensors, padded on either side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor

from engines.jepa.layout import NO_PREDICTOR, PackedRow, Span
from engines.training.rows import IGNORED

PAD_GROUP = -1
"""The group of padding, which nothing sees but itself."""


@dataclass(frozen=True)
class PairIndex:
    """Where the P predictions of a batch are read, as indices into its `(B, L, hidden)` states; all `(P,)`, int64."""

    row: Tensor
    source: Tensor
    origin: Tensor
    """Of a difference; -1 where the state itself predicts."""
    start: Tensor
    end: Tensor

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class PackedBatch:
    """B rows of L tokens. All tensors but those of `pairs` and `candidates` are `(B, L)`, int64."""

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor
    predictors: Tensor
    group: Tensor
    reach: Tensor
    """How many positions of this batch's rows are seen of the original, padding in front of it counted in."""
    pairs: PairIndex
    candidates: PairIndex
    """The embeddings of all steps, where they were asked for; `source` means nothing."""
    packed: bool
    """Whether any row holds more than the original, so that plain causal attention would not do."""

    @property
    def valid(self) -> Tensor:
        """1 where there is a token, 0 for padding: the mask of ordinary training."""
        return (self.group != PAD_GROUP).long()

    @property
    def label_count(self) -> int:
        """Tokens that bear a loss; a row's first has nothing to be predicted from."""
        return int((self.labels[:, 1:] != IGNORED).sum())

    def to(self, device: torch.device) -> "PackedBatch":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return PackedBatch(**{name: _moved(value, device) for name, value in values.items()})


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, PairIndex):
        return PairIndex(**{field.name: getattr(value, field.name).to(device) for field in fields(value)})
    return value


def collate(
    rows: Sequence[PackedRow],
    *,
    pad_token: int,
    padding_side: Literal["left", "right"] = "right",
    multiple_of: int = 1,
) -> PackedBatch:
    """One batch of the rows, padded to the longest, and on to a multiple of `multiple_of`."""
    longest = max(len(row.input_ids) for row in rows)
    length = -(-longest // multiple_of) * multiple_of
    before = [length - len(row.input_ids) if padding_side == "left" else 0 for row in rows]

    def padded(values: Callable[[PackedRow], list[int]], fill: int) -> Tensor:
        out = torch.full((len(rows), length), fill, dtype=torch.int64)
        for index, row in enumerate(rows):
            out[index, before[index] : before[index] + len(row.input_ids)] = torch.tensor(values(row))
        return out

    reach = padded(lambda row: row.reach, 0)
    reach = torch.where(reach > 0, reach + torch.tensor(before)[:, None], 0)
    pairs = [
        (index, pair.source, -1 if pair.origin is None else pair.origin, pair.target)
        for index, row in enumerate(rows)
        for pair in row.pairs
    ]
    candidates = [(index, 0, -1, span) for index, row in enumerate(rows) for span in row.candidates]
    return PackedBatch(
        input_ids=padded(lambda row: row.input_ids, pad_token),
        labels=padded(lambda row: row.labels, IGNORED),
        position_ids=padded(lambda row: row.position_ids, 0),
        predictors=padded(lambda row: row.predictors, NO_PREDICTOR),
        group=padded(lambda row: row.group, PAD_GROUP),
        reach=reach,
        pairs=_index(pairs, before),
        candidates=_index(candidates, before),
        packed=any(len(row.segments) > 1 for row in rows),
    )


def _index(found: Sequence[tuple[int, int, int, Span]], before: Sequence[int]) -> PairIndex:
    def column(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64)

    return PairIndex(
        row=column([row for row, *_ in found]),
        source=column([source + before[row] for row, source, *_ in found]),
        origin=column([-1 if origin < 0 else origin + before[row] for row, _, origin, _ in found]),
        start=column([span.start + before[row] for row, _, _, span in found]),
        end=column([span.end + before[row] for row, _, _, span in found]),
    )
