"""A direction to steer along, and one row's steering: what to add, at which layers, how strongly."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from engines.recipe.errors import RecipeError
from engines.steer.spec import NormKind, Site, SteerSpec, from_preset

_UNIT = 1e-3
"""How far from 1 the length of a unit vector may be."""


@dataclass(frozen=True, eq=False)
class Steering:
    """A spec with the vectors that it names: unit, float32, one a layer. RecipeError where they are not those."""

    spec: SteerSpec
    vectors: Mapping[int, torch.Tensor]

    def __post_init__(self) -> None:
        for layer in self.spec.layers:
            if layer not in self.vectors or vector_hash(self.vectors[layer]) != self.spec.vectors[layer]:
                raise RecipeError(
                    f"steering: the vector for layer {layer} is not the one that the spec names",
                    hint="load the vectors that were saved with the spec",
                )

    @property
    def key(self) -> str:
        return self.spec.hash()


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions for many layers at one site, before strength and layers are chosen."""

    site: Site
    method: str
    layers: tuple[int, ...]
    unit: torch.Tensor
    """(layers, size), float32, each of length 1."""
    raw_norm: tuple[float, ...]
    """Length of what each was before it was made a unit vector."""
    norm_ref: tuple[float, ...]
    """Median norm of the activations that are to be steered, by layer."""

    def steering(
        self,
        layers: Sequence[int],
        alpha: float,
        *,
        preset: str | None = None,
        norm_kind: NormKind = "residual",
        **fields: Any,
    ) -> Steering:
        """Steering along these directions at some of their layers. `fields` are those of the spec."""
        places = {layer: self.layers.index(layer) for layer in layers}
        vectors = {layer: self.unit[place] for layer, place in places.items()}
        common = {"layers": tuple(sorted(places)), "alpha": alpha, "site": self.site, "method": self.method}
        common["vectors"] = {layer: vector_hash(vector) for layer, vector in vectors.items()}
        if preset is not None:
            spec = from_preset(preset, **common, norm_ref=dict.fromkeys(places, 1.0), **fields)
            norm_kind = spec.norm_kind
            fields = spec.model_dump(exclude={*common, "norm_ref", "norm_kind"})
        norms = {
            "residual": self.norm_ref,
            "raw_difference": self.raw_norm,
            "unit": (1.0,) * len(self.layers),
        }[norm_kind]
        norm_ref = {layer: norms[place] for layer, place in places.items()}
        spec = SteerSpec.model_validate({**common, "norm_ref": norm_ref, "norm_kind": norm_kind, **fields})
        return Steering(spec, vectors)


def directions(
    site: Site, method: str, layers: Sequence[int], raw: torch.Tensor, norm_ref: Sequence[float]
) -> Directions:
    """Unit directions from raw ones (layers, size). RecipeError where one is zero or not finite."""
    raw = raw.detach().to("cpu", torch.float32)
    norms = raw.norm(dim=-1)
    bad = [layer for layer, norm in zip(layers, norms.tolist(), strict=True) if not 0 < norm < float("inf")]
    if bad:
        raise RecipeError(
            f"steering: the {method} direction has no length, or is not finite, at layers {bad}",
            hint="use more pairs, another read position, or leave these layers out",
        )
    unit = raw / norms[:, None]
    return Directions(site, method, tuple(layers), unit, tuple(norms.tolist()), tuple(norm_ref))


def vector_hash(vector: torch.Tensor) -> str:
    """sha256 of a unit vector's float32 bytes. RecipeError for a vector that no run should be given."""
    vector = vector.detach().to("cpu", torch.float32).contiguous()
    # One infinite element would reach every row through 0 * inf, so it is refused here and not found in the output.
    if vector.dim() != 1 or abs(float(vector.norm()) - 1) > _UNIT or not bool(vector.isfinite().all()):
        raise RecipeError(
            f"steering: a vector of shape {tuple(vector.shape)} and length {float(vector.norm()):.6g}",
            hint="steering vectors are one-dimensional, finite, and of length 1",
        )
    return hashlib.sha256(vector.numpy().tobytes()).hexdigest()
