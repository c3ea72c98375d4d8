"""`tunedeck engine steering validate`, on a model of which the truth about steering is known."""

import json

import pytest
import torch
from click.testing import CliRunner

from engines.recipe.errors import RecipeError
from engines.steer.directions import directions
from engines.steer.export import save_steering
from engines.steer.gates import GATES
from engines.steer.validate import validate


@pytest.fixture
def recipe(planted, tmp_path):
    body = {
        "name": "planted",
        "engine": "steering",
        "model": {"base": str(planted.model)},
        "task": {"name": "gsm8k", "path": str(planted.questions), "dev_examples": 20},
        "prompt": {"system": "", "stop": []},
        "max_new_tokens": 4,
        "splits": {"vectors": 64, "screen": 20, "search": 60, "confirm": 20, "decontaminate": None},
        "search": {"ladder": [0.001, 0.01]},
        "device": "cpu",
    }
    path = tmp_path / "r.yaml"
    path.write_text(json.dumps(body))
    return path


def asked(recipe, *options):
    done = CliRunner().invoke(validate, [str(recipe), *options], obj="steering", catch_exceptions=True)
    if isinstance(done.exception, RecipeError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_all_gates_are_passed_and_strength_0_changes_nothing(recipe):
    said = asked(recipe).splitlines()
    assert [line.split()[0] for line in said[: len(GATES)]] == ["passed"] * len(GATES)
    table = [line.split() for line in said[len(GATES) + 2 :]]
    assert [row[0] for row in table] == ["0", "0.001", "0.01"]
    changed, divergence = [row[2] for row in table], [float(row[-1]) for row in table]
    assert changed[0] == "0.0%" and divergence[0] == 0
    assert divergence == sorted(divergence)


def test_a_vector_s_own_strength_is_tried_below_and_above(recipe, planted, tmp_path):
    raw = torch.zeros(1, planted.SIZE)
    raw[0, planted.U] = 1.0
    found = directions("block_out", "mean_difference", [planted.LAYER], raw, [1.0])
    path = save_steering(
        found.steering([planted.LAYER], sum(planted.BEST) / 2), tmp_path / "vector.safetensors"
    )
    said = asked(recipe, "--questions", "60", "--vector", str(path)).splitlines()
    right = {line.split()[0]: line.split()[1] for line in said[len(GATES) + 2 :]}
    assert right["1x"] == "100.0%"
    assert 30 < float(right["0x"].rstrip("%")) < 70
    assert right["4x"] == "0.0%"


def test_what_is_not_there_is_refused(recipe, tmp_path):
    with pytest.raises(RecipeError, match="there is no layer 9"):
        asked(recipe, "--layer", "9")
    with pytest.raises(RecipeError, match="there is no file"):
        asked(recipe, "--vector", str(tmp_path / "none"))
