"""The weightings of TorchJD (SimplexLab, MIT), where it is installed with what each of them needs.

Only its solutions of small problems on the Gramian are used, never its backward passes. Each call starts afresh, so that
a resumed run comes to the same weights.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from engines.recipe.errors import RecipeError

NEEDS: dict[str, tuple[str, ...]] = {
    "mgda": ("torchjd",),
    "aligned_mtl": ("torchjd",),
    "upgrad": ("torchjd", "qpsolvers", "quadprog"),
    "cagrad": ("torchjd", "cvxpy", "clarabel"),
    "nashmtl": ("torchjd", "cvxpy", "ecos"),
}
"""Packages of each method."""


def check_installed(method: str) -> None:
    """Raises RecipeError for a method of TorchJD whose packages are not all here."""
    missing = [package for package in NEEDS.get(method, ()) if find_spec(package) is None]
    if missing:
        raise RecipeError(
            f"mtl.method: `{method}` needs packages that are not installed: {', '.join(missing)}",
            hint="`pip install 'tunedeck[surgery]'`, or use `equal`, `pcgrad`, `gradvac` or `normalized`",
        )


def weigh(method: str, gramian: Tensor) -> Tensor:
    """Weights (tasks,) of the rows of a Gramian (tasks, tasks)."""
    check_installed(method)
    aggregation: Any = import_module("torchjd.aggregation")
    if method == "nashmtl":
        return _nash(aggregation, gramian)
    weighting = {
        "mgda": aggregation.MGDAWeighting,
        "aligned_mtl": aggregation.AlignedMTLWeighting,
        "upgrad": aggregation.UPGradWeighting,
        "cagrad": lambda: aggregation.CAGradWeighting(c=0.5),
    }[method]()
    found: Tensor = weighting(gramian)
    return found.to(gramian)


def _nash(aggregation: Any, gramian: Tensor) -> Tensor:
    """It wants gradients, and looks at their inner products only: any square root of the Gramian will do."""
    values, vectors = torch.linalg.eigh(gramian)
    root = vectors * values.clamp(min=0).sqrt()
    aggregator = aggregation.NashMTL(
        n_tasks=len(gramian), max_norm=1.0, update_weights_every=1, optim_niter=20
    )
    found: Tensor = aggregator.weighting(root)
    return found.to(gramian)
