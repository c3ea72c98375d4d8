"""A steered model in an evaluation: `model: {base: ..., steering: {from: job}}`."""

import pytest
import torch

from engines.eval import Recipe, run
from engines.recipe.errors import RecipeError
from engines.steer.directions import directions
from engines.steer.export import save_steering


@pytest.fixture
def vector(planted, tmp_path):
    """A run directory as a steering job leaves it, with the planted direction at this strength."""

    def write(push, size=None, layer=None):
        size, layer = size or planted.SIZE, planted.LAYER if layer is None else layer
        raw = torch.zeros(1, size)
        raw[0, planted.U] = 1.0
        found = directions("block_out", "mean_difference", [layer], raw, [1.0])
        directory = tmp_path / f"steered-{push}-{size}-{layer}"
        directory.mkdir()
        save_steering(found.steering([layer], push), directory / "vector.safetensors")
        return directory

    return write


def evaluated(planted, make_run, read_events, model, inputs=None, **fields):
    body = {
        "engine": "eval",
        "model": {"base": str(planted.model), **model},
        "task": {"name": "gsm8k", "path": str(planted.questions), "dev_examples": 60},
        "prompt": {"system": "", "stop": []},
        "sampling": {"max_new_tokens": 4},
        "split": "dev",
        "limit": 60,
        "device": "cpu",
        **fields,
    }
    attempt = make_run("steered/eval")
    attempt.inputs.update(inputs or {})
    run(Recipe.model_validate(body), attempt)
    events = read_events(attempt)
    return [e["value"] for e in events if e["kind"] == "score" and e["name"] == "robust"][-1]


def test_an_evaluation_takes_the_vector_of_a_job_or_a_file(planted, make_run, read_events, vector):
    middle = sum(planted.BEST) / 2
    plain = evaluated(planted, make_run, read_events, {})
    directory = vector(middle)
    from_job = evaluated(
        planted, make_run, read_events, {"steering": {"from": "search"}}, {"search": directory}
    )
    path = str(directory / "vector.safetensors")
    from_file = evaluated(planted, make_run, read_events, {"steering": {"path": path}})
    assert 0.3 < plain < 0.7
    assert from_job == from_file == 1.0


def test_strength_0_is_the_model_itself_and_the_cache_keeps_strengths_apart(
    planted, make_run, read_events, vector
):
    plain = evaluated(planted, make_run, read_events, {})
    none, turned = (str(vector(push) / "vector.safetensors") for push in (0.0, -4.5))
    assert evaluated(planted, make_run, read_events, {"steering": {"path": none}}) == plain
    assert evaluated(planted, make_run, read_events, {"steering": {"path": turned}}) < 0.2


@pytest.mark.parametrize(
    ("made", "wrong"),
    [({"size": 64}, "vectors of 64 dimensions, and layer 3 of this model has 256"), ({"layer": 6}, "there is no layer 6")],
)  # fmt: skip
def test_a_vector_of_another_model_is_refused(planted, make_run, read_events, vector, made, wrong):
    path = str(vector(1.0, **made) / "vector.safetensors")
    with pytest.raises(RecipeError, match=wrong):
        evaluated(planted, make_run, read_events, {"steering": {"path": path}})


def test_what_cannot_be_taken_is_refused_with_a_hint(planted, make_run, read_events, tmp_path):
    with pytest.raises(RecipeError, match="there is no file"):
        evaluated(planted, make_run, read_events, {"steering": {"path": str(tmp_path / "none")}})
    with pytest.raises(RecipeError, match="not an input of this job"):
        evaluated(planted, make_run, read_events, {"steering": {"from": "search"}})
    (tmp_path / "text").write_text("no tensors")
    with pytest.raises(RecipeError, match="cannot be read"):
        evaluated(planted, make_run, read_events, {"steering": {"path": str(tmp_path / "text")}})
    with pytest.raises(RecipeError, match="cannot steer"):
        steering = {"steering": {"path": str(tmp_path / "text")}}
        evaluated(planted, make_run, read_events, steering, generation={"backend": "hf-continuous"})
