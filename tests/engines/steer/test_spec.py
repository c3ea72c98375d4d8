import subprocess
import sys

import pytest
from pydantic import ValidationError

from engines.steer.spec import PRESETS, SteerSpec, from_preset

FIELDS = {"layers": (1, 2), "vectors": {1: "a" * 64, 2: "b" * 64}, "norm_ref": {1: 3.0, 2: 4.0}, "alpha": 0.1}


def test_the_hash_is_the_same_in_every_process_and_after_a_round_trip():
    spec = SteerSpec(**FIELDS)
    code = f"from engines.steer.spec import SteerSpec; print(SteerSpec(**{FIELDS!r}).hash())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert other.strip() == spec.hash() == SteerSpec.model_validate_json(spec.model_dump_json()).hash()


@pytest.mark.parametrize(
    "changed",
    [
        {"alpha": 0.2},
        {"alpha": -0.1},
        {"site": "o_proj_in"},
        {"op": "project_out"},
        {"vectors": {1: "a" * 64, 2: "c" * 64}},
        {"norm_ref": {1: 3.0, 2: 4.5}},
        {"layers": (1,), "vectors": {1: "a" * 64}, "norm_ref": {1: 3.0}},
        {"where": {"prompt": "all"}},
        {"where": {"generation": "window", "generation_window": (0, 5)}},
        {"where": {"generation": "tokens", "tokens": (7,)}},
        {"schedule": {"kind": "first_k", "steps": 3}},
        {"schedule": {"kind": "dac"}},
        {"schedule": {"kind": "dac", "top_p": 0.4}},
    ],
)
def test_every_field_that_changes_the_intervention_changes_the_hash(changed):
    assert SteerSpec(**FIELDS).hash() != SteerSpec(**{**FIELDS, **changed}).hash()


def test_what_is_only_a_record_does_not_change_the_hash():
    spec = from_preset("caa-paper", **FIELDS)
    assert spec.hash() == spec.model_copy(update={"preset": None, "read": "cot_mean"}).hash()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_whole_spec(name):
    assert from_preset(name, **FIELDS).preset == name


def test_no_two_presets_mean_the_same():
    assert len({from_preset(name, **FIELDS).hash() for name in PRESETS}) == len(PRESETS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"layers": (2, 1)},
        {"layers": ()},
        {"vectors": {1: "a"}},
        {"norm_ref": {1: 0.0, 2: 1.0}},
        {"alpha": float("nan")},
        {"where": {"prompt": "window"}},
        {"schedule": {"kind": "exp"}},
        {"schedule": {"kind": "dac"}, "where": {"prompt": "all"}},
        {"strength": 3},
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValidationError):
        SteerSpec(**{**FIELDS, **wrong})


def test_a_spec_is_frozen_and_loads_no_torch():
    with pytest.raises(ValidationError):
        SteerSpec(**FIELDS).alpha = 1.0
    code = "import engines.steer.spec, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
