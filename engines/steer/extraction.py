"""From the sides of a pair set to activations at all layers: read once, then taken from the store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.steer.activations import locate, read_with_norms, steered_positions
from engines.steer.directions import Directions, directions
from engines.steer.pairs import Side
from engines.steer.sites import find_decoder
from engines.steer.spec import ReadPosition, Site
from engines.steer.store import Activations, activation_key, load, save
from engines.steer.vectors import METHODS

_CALIBRATION = 256
"""Sides over whose steered tokens the norms are taken."""


def extract(
    model: Any,
    tokenizer: Any,
    spec: PromptSpec,
    sides: Sequence[Side],
    *,
    site: Site,
    read: ReadPosition,
    directory: Path,
    identity: Mapping[str, Any],
    data_hash: str,
    pairs: Mapping[str, Any],
    layers: Sequence[int] | None = None,
    batch_size: int = 32,
) -> Activations:
    """Activations of the sides that have the read position, at these layers (None: all), with the layers' norms.

    `identity` is what `weights_identity` says of the model, `pairs` the scheme with its parameters and seed."""
    layers = range(len(find_decoder(model).blocks)) if layers is None else layers
    located = [locate(tokenizer, side.prompt, side.completion, spec, read) for side in sides]
    kept = [(side, reading) for side, reading in zip(sides, located, strict=True) if reading is not None]
    if not kept:
        raise RecipeError(
            f"steering: none of {len(sides)} texts has the position `{read}`", hint="use `read: answer_last`"
        )
    chosen, readings = [side for side, _ in kept], [reading for _, reading in kept]
    # Evenly from all questions: the first sides may be all of one kind.
    step = max(1, len(chosen) // _CALIBRATION)
    steered = [steered_positions(tokenizer, side.prompt, side.completion) for side in chosen[::step]]
    key = activation_key(
        identity,
        model,
        tokenizer,
        readings,
        rows=[side.key for side in chosen],
        data_hash=data_hash,
        pairs=pairs,
        site=site,
        layers=layers,
        read=read,
        calibration=steered,
    )
    found = load(directory, key)
    if found is not None:
        return found
    values, norms = read_with_norms(
        model, readings, steered, site, layers, pad=tokenizer.pad_token_id, batch_size=batch_size
    )
    found = Activations(
        values=values,
        layers=tuple(layers),
        questions=tuple(side.question for side in chosen),
        labels=tuple(side.label for side in chosen),
        norm_ref=tuple(norms),
    )
    save(directory, key, found)
    return found


def readable(tokenizer: Any, sides: Sequence[Side], spec: PromptSpec, read: ReadPosition) -> list[Side]:
    """The sides that `extract` has activations of, in its order."""
    return [side for side in sides if locate(tokenizer, side.prompt, side.completion, spec, read) is not None]


def find_directions(found: Activations, site: Site, method: str) -> Directions:
    """Directions by one of the methods, at all layers that were read."""
    raw = METHODS[method](found.values, found.labels, found.questions)
    return directions(site, method, found.layers, raw, found.norm_ref)
