"""The attention pattern of packed rows, in the form that the model's attention implementation takes.

transformers hands a four-dimensional mask on as it is, unchecked: a boolean one is a mask to sdpa and a small number to
eager and flex attention, which then see everything. So the form is chosen from the model's config when it is called,
and `engines.jepa.proof` proves on the model itself that it took effect.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

from engines.jepa.collate import PackedBatch

Mask = Tensor | BlockMask
FLEX_BLOCK = 128
"""Rows for flex attention are padded to a multiple of this, its block size: else every length is compiled anew."""

_block_mask: Any = torch.compile(create_block_mask)
"""Compiled (at its first call), it does not write the whole mask out before it sums up the blocks."""


def visible(group: Tensor, reach: Tensor, b: Any, query: Any, key: Any) -> Any:
    """Whether `query` sees `key` in row `b`, elementwise: for indices that broadcast, and as flex attention traces it.

    The same rule as `layout.may_attend`. Padding sees itself, since a row of the mask that allows nothing is NaN.
    """
    query_group, key_group = group[b, query], group[b, key]
    original = (key_group == 0) & (key < reach[b, query])
    own_block = (key_group == query_group) & (key_group > 0) & (key <= query)
    return original | own_block | (query == key)


def attention_mask(batch: PackedBatch, config: Any, dtype: torch.dtype) -> Mask | dict[str, Mask]:
    """The mask for the model of this config: one, or one for each kind of layer where kinds differ.

    A bool `(B, 1, L, L)` tensor (True: sees) for sdpa, a float one to be added for eager, a BlockMask for flex attention.
    A batch of plain rows gets the ordinary `(B, L)` mask of padding, as in ordinary training.
    """
    if not batch.packed:
        return batch.valid
    config = config.get_text_config()
    window = getattr(config, "sliding_window", None)
    kinds = set(getattr(config, "layer_types", None) or ())
    if "sliding_attention" in kinds:
        windows = {kind: window if kind == "sliding_attention" else None for kind in kinds}
        return {kind: _one(batch, config, dtype, width) for kind, width in windows.items()}
    # Without layer types, a model with a window uses it in every layer; with them, and none sliding, in none.
    return _one(batch, config, dtype, None if kinds else window)


def _one(batch: PackedBatch, config: Any, dtype: torch.dtype, window: int | None) -> Mask:
    group, reach, position = batch.group, batch.reach, batch.position_ids
    rows, length = group.shape

    def rule(b: Any, query: Any, key: Any) -> Any:
        seen = visible(group, reach, b, query, key)
        if window is None:
            return seen
        # By the positions that the model is told. Padding's mean nothing, and it must still see itself.
        return seen & ((position[b, query] - position[b, key] < window) | (query == key))

    if config._attn_implementation == "flex_attention":

        def of_any_head(b: Any, _head: Any, query: Any, key: Any) -> Any:
            return rule(b, query, key)

        # Blocks of 128 by 128 in which nobody sees anybody are skipped.
        made: BlockMask = _block_mask(of_any_head, rows, None, length, length, device=group.device)
        return made
    index, row = torch.arange(length, device=group.device), torch.arange(rows, device=group.device)
    mask: Tensor = rule(row[:, None, None], index[None, :, None], index[None, None, :])[:, None]
    # A mask of one row would be broadcast over a batch without a word.
    assert mask.shape == (rows, 1, length, length)
    if config._attn_implementation == "eager":
        added = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
        return added.masked_fill(~mask, torch.finfo(dtype).min)
    return mask
