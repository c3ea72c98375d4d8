import json
from types import SimpleNamespace

import pytest
import torch

from engines.recipe.errors import RecipeError
from engines.steer.activations import Reading, read_activations
from engines.steer.store import Activations, activation_key, load, path_of, save, verify

IDENTITY = {"weights": "w", "adapter": None, "dtype": "float32", "tokenizer": "t"}
READINGS = [Reading((1, 2, 3), (2,)), Reading((4, 5), (1,))]
PAIRS = {"scheme": "P2", "seed": 0, "samples": 8}


@pytest.fixture
def key(family_model, tokenizer):
    def make(identity=IDENTITY, model=None, tokenizer=tokenizer, readings=READINGS, **fields):
        given = {
            "rows": ["a", "b"],
            "data_hash": "d",
            "pairs": PAIRS,
            "site": "block_out",
            "layers": [0, 1],
            "read": "answer_last",
        }
        return activation_key(
            identity, model or family_model("llama"), tokenizer, readings, **{**given, **fields}
        )

    return make


@pytest.fixture
def found():
    values = torch.randn(2, 2, 8, generator=torch.Generator().manual_seed(0))
    return Activations(values, (0, 1), ("q", "q"), (True, False), (3.0, 4.5))


def test_what_was_saved_is_found_bit_for_bit(tmp_path, key, found):
    assert load(tmp_path, key()) is None
    save(tmp_path, key(), found)
    again = load(tmp_path, key())
    assert torch.equal(again.values, found.values)
    assert (again.layers, again.questions, again.labels) == ((0, 1), ("q", "q"), (True, False))
    assert again.norm_ref == (3.0, 4.5)


CHANGES = [
    {"identity": {**IDENTITY, "weights": "x"}},
    {"identity": {**IDENTITY, "adapter": "x"}},
    {"identity": {**IDENTITY, "dtype": "bfloat16"}},
    {"tokenizer": SimpleNamespace(chat_template="another")},
    {"readings": [Reading((1, 2, 3), (1,)), READINGS[1]]},
    {"readings": [Reading((1, 2, 4), (2,)), READINGS[1]]},
    {"readings": READINGS[::-1]},
    {"rows": ["b", "a"]},
    {"data_hash": "e"},
    {"pairs": {**PAIRS, "seed": 1}},
    {"site": "block_in"},
    {"layers": [0, 2]},
    {"read": "cot_mean"},
    {"padding": "right"},
    {"calibration": READINGS},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_whatever_changes_the_numbers_changes_the_key(tmp_path, key, found, change):
    save(tmp_path, key(), found)
    assert load(tmp_path, key(**change)) is None


def test_precision_attention_and_versions_are_in_the_key(family_model, key):
    fields = key()
    assert {
        "torch",
        "transformers",
        "attention",
        "computed_in",
        "device",
        "quantised",
        "reading",
    } <= fields.keys()
    assert fields["computed_in"] == "torch.float32"


@pytest.mark.parametrize("harm", ["bits", "cut", "sidecar", "other key", "fewer rows"])
def test_a_file_that_is_not_what_stands_beside_it_is_no_hit(tmp_path, key, found, harm):
    path = save(tmp_path, key(), found)
    beside = path.with_suffix(".json")
    if harm == "bits":
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(data)
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    elif harm == "sidecar":
        beside.write_text(beside.read_text()[:40])
    else:
        fields = json.loads(beside.read_text())
        if harm == "other key":
            fields["key"]["weights"] = "x"
        else:
            fields["labels"] = fields["labels"][:1]
            fields["questions"] = fields["questions"][:1]
        beside.write_text(json.dumps(fields))
    assert load(tmp_path, key()) is None


def test_a_run_that_is_killed_between_the_two_files_leaves_no_hit(tmp_path, key, found):
    save(tmp_path, key(), found)
    path_of(tmp_path, key()).with_suffix(".json").unlink()
    assert load(tmp_path, key()) is None


def test_verifying_reads_random_rows_again(family_model):
    model = family_model("gemma2")
    readings = [Reading(tuple(range(5, 9 + place)), (place,)) for place in range(6)]

    def read(places):
        return read_activations(model, [readings[place] for place in places], "block_out", [1, 2], pad=3)

    good = Activations(read(range(6)), (1, 2), ("q",) * 6, (True, False) * 3, (1.0, 1.0))
    assert verify(good, read, count=4) < 1e-4
    stale = Activations(good.values * 1.1, (1, 2), good.questions, good.labels, good.norm_ref)
    with pytest.raises(RecipeError, match=r"differ by 9\.1%"):
        verify(stale, read, count=4)
