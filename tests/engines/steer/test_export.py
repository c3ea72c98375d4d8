import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engines.recipe.errors import RecipeError
from engines.steer.export import (
    deltas,
    easysteer_spec,
    load_steering,
    save_easysteer,
    save_gguf,
    save_steering,
)
from engines.steer.hooks import steered

IDS = torch.tensor([[10, 20, 30, 41]])


def test_a_saved_steering_is_the_same_steering(tmp_path, steer):
    row = steer(
        [1, 3],
        -0.4,
        norm=5.0,
        where={"prompt": "window", "prompt_window": (-3, 0)},
        schedule={"kind": "exp", "rate": 0.1},
    )
    again = load_steering(save_steering(row, tmp_path / "vector.safetensors"))
    assert again.key == row.key and again.spec == row.spec
    assert all(torch.equal(again.vectors[layer], row.vectors[layer]) for layer in (1, 3))


def test_the_same_steering_gives_the_same_bytes_in_every_process(tmp_path, steer):
    path = save_steering(steer([1, 3], 0.5), tmp_path / "vector.safetensors")
    raw = path.read_bytes()
    header = raw[8 : 8 + int.from_bytes(raw[:8], "little")].decode().rstrip()
    assert list(json.loads(header)) == sorted(json.loads(header))
    assert list(json.loads(header)["__metadata__"]) == ["format", "hash", "spec"]


def test_the_file_holds_what_is_added(tmp_path, family_model, steer):
    model, row = family_model("llama"), steer([1, 2], 0.5, norm=4.0, where={"prompt": "all"})
    path = save_steering(row, tmp_path / "vector.safetensors")
    tensors = load_file(path)
    with steered(model, [row], torch.ones_like(IDS)):
        ours = model(IDS).logits
    handles = [
        model.model.layers[layer].register_forward_hook(
            lambda _m, _a, out, layer=layer: out + tensors[f"layer.{layer}"]
        )
        for layer in (1, 2)
    ]
    theirs = model(IDS).logits
    for handle in handles:
        handle.remove()
    assert torch.equal(ours, theirs)
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["hash"] == row.key


@pytest.mark.parametrize("harm", ["vector", "spec", "format", "cut"])
def test_a_file_that_was_changed_is_refused(tmp_path, steer, harm):
    path = save_steering(steer([1], 0.5), tmp_path / "vector.safetensors")
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if harm == "vector":
        tensors["unit.1"] = tensors["unit.1"].flip(0)
    elif harm == "spec":
        metadata["spec"] = metadata["spec"].replace('"alpha":0.5', '"alpha":0.6')
    elif harm == "format":
        metadata = {}
    save_file(tensors, path, metadata)
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(RecipeError):
        load_steering(path)


def test_easysteer_is_told_the_same_tokens(steer):
    cases = {
        ("last", "all"): {
            "phases": ["prompt", "generation"],
            "prompt_positions": [-1],
            "generation_window": [0, None],
        },
        ("all", "all"): {
            "phases": ["prompt", "generation"],
            "prompt_window": [0, None],
            "generation_window": [0, None],
        },
        ("none", "all"): {"phases": ["generation"], "generation_window": [0, None]},
        ("last", "none"): {"phases": ["prompt"], "prompt_positions": [-1]},
    }
    for (prompt, generation), expected in cases.items():
        row = steer([1], 0.5, where={"prompt": prompt, "generation": generation})
        [vector] = easysteer_spec(row, "v.gguf")["vectors"]
        assert vector["apply"] == expected and vector["scale"] == 1.0 and vector["layers"] == [1]
    where = {"prompt": "window", "prompt_window": (-2, 0), "generation": "tokens", "tokens": (7, 8)}
    [vector] = easysteer_spec(steer([1], 0.5, where=where), "v.gguf")["vectors"]
    assert vector["apply"]["prompt_window"] == [-2, None] and vector["apply"]["generation_tokens"] == [7, 8]


@pytest.mark.parametrize(
    "fields",
    [
        {"op": "project_out"},
        {"site": "o_proj_in"},
        {"schedule": {"kind": "first_k", "steps": 3}},
        {"schedule": {"kind": "dac"}},
    ],
)
def test_what_others_cannot_do_is_refused_and_not_approximated(steer, fields):
    with pytest.raises(RecipeError, match="does something else"):
        easysteer_spec(steer([1], 0.5, **fields), "v.gguf")


def test_gguf_round_trip_with_the_index_of_the_block(tmp_path, steer):
    gguf = pytest.importorskip("gguf", reason="GGUF export needs the gguf package, which is optional")
    row = steer([1, 3], 0.5, norm=4.0)
    notes = save_gguf(row, tmp_path / "vector.gguf", "llama")
    reader = gguf.GGUFReader(tmp_path / "vector.gguf")
    read = {tensor.name: torch.tensor(tensor.data) for tensor in reader.tensors}
    assert read.keys() == {"direction.1", "direction.3"}
    assert all(torch.equal(read[f"direction.{layer}"], delta) for layer, delta in deltas(row).items())
    assert reader.get_field("controlvector.model_hint").contents() == "llama"
    assert reader.get_field("controlvector.layer_count").contents() == 2
    assert "every token" in notes[0]
    with pytest.raises(RecipeError, match="cannot steer block 0"):
        save_gguf(steer([0], 0.5), tmp_path / "zero.gguf", "llama")


def test_easysteer_s_spec_names_the_vector_beside_it(tmp_path, steer):
    pytest.importorskip("gguf", reason="GGUF export needs the gguf package, which is optional")
    assert save_easysteer(steer([2], 0.5), tmp_path, "llama") == []
    [vector] = json.loads((tmp_path / "easysteer.json").read_text())["vectors"]
    assert vector["source"] == "vector.gguf" and (tmp_path / vector["source"]).is_file()


def test_without_the_gguf_package_it_is_asked_for(tmp_path, steer, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(RecipeError, match="gguf package is not installed"):
        save_gguf(steer([1], 0.5), tmp_path / "vector.gguf", "llama")
