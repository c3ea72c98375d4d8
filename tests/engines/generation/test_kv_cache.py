import torch
from transformers import Gemma3TextConfig, LlamaConfig
from transformers.cache_utils import DynamicLayer

from engines.generation.kv_cache import RoomyLayer, roomy_cache


def test_it_holds_what_a_cache_that_copies_holds():
    torch.manual_seed(0)
    ours, theirs = RoomyLayer(), DynamicLayer()
    for step in range(150):
        rows = theirs.keys.shape[0] if step else 6
        keys, values = torch.randn(2, rows, 2, 5 if step == 0 else 1, 4)
        for mine, expected in zip(ours.update(keys, values), theirs.update(keys, values), strict=True):
            assert torch.equal(mine, expected)
        if step in (3, 70, 71):
            keep = torch.tensor([0, 0, 2, 1])
            ours.batch_select_indices(keep)
            theirs.batch_select_indices(keep)
    assert ours.get_seq_length() == theirs.get_seq_length() == 154


def test_most_steps_write_in_place():
    layer = RoomyLayer()
    layer.update(*torch.randn(2, 3, 2, 7, 4))
    places = {layer.update(*torch.randn(2, 3, 2, 1, 4))[0].data_ptr() for _ in range(60)}
    assert len(places) == 1


def test_sliding_windows_stay_as_transformers_has_them():
    config = Gemma3TextConfig(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"])
    assert [type(layer) is RoomyLayer for layer in roomy_cache(config).layers] == [False, True]
    assert all(type(layer) is RoomyLayer for layer in roomy_cache(LlamaConfig(num_hidden_layers=3)).layers)
