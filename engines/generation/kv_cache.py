"""A key-value cache with room to grow: a new token is written in place, where transformers copies all before it."""

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicIndexedLayer, DynamicLayer, DynamicSlidingWindowLayer

_ROOM = 64
"""Tokens that a layer makes room for at a time."""


class RoomyLayer(DynamicLayer):
    """Keys and values (rows, heads, tokens, dimensions) as views of larger tensors."""

    keys: torch.Tensor
    values: torch.Tensor
    _key_room: torch.Tensor
    _value_room: torch.Tensor

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        if not self.is_initialized or after > self._key_room.shape[-2]:
            self._key_room = _grown(self.keys if before else None, key_states, after + _ROOM)
            self._value_room = _grown(self.values if before else None, value_states, after + _ROOM)
            self.dtype, self.device = key_states.dtype, key_states.device
            self.is_initialized: bool = True
        self._key_room[:, :, before:after] = key_states
        self._value_room[:, :, before:after] = value_states
        self._show(after)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep, or repeat, rows."""
        length = self.get_seq_length()
        self._key_room, self._value_room = self._key_room[indices], self._value_room[indices]
        self._show(length)

    def _show(self, length: int) -> None:
        self.keys, self.values = self._key_room[:, :, :length], self._value_room[:, :, :length]


_SELECTABLE = {RoomyLayer, DynamicLayer, DynamicSlidingWindowLayer, DynamicIndexedLayer}


def roomy_cache(config: Any) -> DynamicCache:
    """An empty cache for a model. Layers of other kinds (sliding windows, recurrent states) stay transformers' own."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def is_all_roomy(cache: DynamicCache) -> bool:
    """Whether rows may have padding between their first tokens and the rest: windows and states would count it."""
    return all(type(layer) is RoomyLayer for layer in cache.layers)


def can_select(cache: DynamicCache) -> bool:
    """Whether rows can be dropped and repeated. Layers of other kinds hold more than the keys and values that
    transformers selects (recurrent states), or have no way to: their batches stay whole.
    """
    return all(type(layer) in _SELECTABLE for layer in cache.layers)


def is_empty(cache: DynamicCache) -> bool:
    """Whether a model that has read something left nothing here: then it keeps a state of its own, or none."""
    attended = any(getattr(layer, "is_initialized", False) for layer in cache.layers)
    states = [getattr(layer, "is_conv_states_initialized", {}) for layer in cache.layers]
    return not attended and not any(any(found.values()) for found in states)


def fill(cache: DynamicCache, first: DynamicCache, rows: int) -> None:
    """Begin `rows` rows of an empty cache with what another holds of one row."""
    for layer, source in zip(cache.layers, first.layers, strict=True):
        layer.update(source.keys.expand(rows, -1, -1, -1), source.values.expand(rows, -1, -1, -1))


def _grown(old: torch.Tensor | None, like: torch.Tensor, tokens: int) -> torch.Tensor:
    rows, heads, _, dimensions = like.shape
    new = like.new_empty(rows, heads, tokens, dimensions)
    if old is not None:
        new[:, :, : old.shape[-2]] = old
    return new
