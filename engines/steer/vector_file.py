"""The steering that a recipe names: the file that a search left, checked against the model that it is to steer."""

from pathlib import Path
from typing import Any

from engines.recipe.blocks import SteeringBlock
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.steer.directions import Steering
from engines.steer.export import load_steering
from engines.steer.sites import find_decoder, hidden_size, module_at

VECTOR = "vector.safetensors"
"""Where a steering job leaves what it found."""


def steering_for(block: SteeringBlock, run: Run, model: Any) -> Steering:
    """The steering of a block. RecipeError where there is none, or where the model has no place for it."""
    path = _file(block, run)
    steering = load_steering(path)
    decoder = find_decoder(model)
    for layer in steering.spec.layers:
        module = module_at(decoder, steering.spec.site, layer)
        wanted, given = _size(model, module, steering.spec.site), steering.vectors[layer].numel()
        if wanted != given:
            raise RecipeError(
                f"model.steering: {path} has vectors of {given} dimensions, and layer {layer} of this model has {wanted}",
                hint="steer the model that the vectors were found in",
            )
    return steering


def _file(block: SteeringBlock, run: Run) -> Path:
    if block.from_ is None:
        path = Path(str(block.path)).expanduser()
    elif block.from_ in run.inputs:
        path = run.inputs[block.from_] / VECTOR
    else:
        raise RecipeError(
            f"model.steering.from: `{block.from_}` is not an input of this job (it has: "
            f"{', '.join(sorted(run.inputs)) or 'none'})",
            hint="name a job of the same recipe that searches for a steering",
        )
    if not path.is_file():
        raise RecipeError(
            f"model.steering: there is no file {path}", hint="retry the steering job, or give another `path`"
        )
    return path


def _size(model: Any, module: Any, site: str) -> int:
    """Dimensions of the activations at a site."""
    if site != "o_proj_in":
        return hidden_size(model)
    return int(getattr(module, "in_features", module.weight.shape[0]))  # gpt2 keeps its weights transposed
