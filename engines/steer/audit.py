"""Can right and wrong be told apart by the surface? Then a direction from these pairs is one of the surface.

A classifier that sees no activations, only lengths, digits, and first and last tokens, is scored on questions that it has
not seen. It must not do better than chance.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from engines.prompts.rendering import token_ids
from engines.recipe.errors import RecipeError
from engines.steer.logistic import auc, auc_interval, held_out_scores
from engines.steer.pairs import Side

_TOKENS = 20
"""How many of the most frequent first tokens, and last ones, are features."""


@dataclass(frozen=True)
class Audit:
    """What the surface tells."""

    passed: bool
    auc: float
    low: float
    high: float
    """95 % interval over questions. Below 0.5 is chance as well: it is what questions left out make of equal classes."""
    features: dict[str, float]
    """AUC of each numeric feature by itself, on all sides, for saying what leaks."""


def audit(tokenizer: Any, sides: Sequence[Side], seed: int = 0) -> Audit:
    """Classify the sides by their surface."""
    numeric = _numeric(tokenizer, sides)
    x = torch.cat([torch.stack(list(numeric.values()), dim=1), _end_tokens(tokenizer, sides)], dim=1)
    y = torch.tensor([float(side.label) for side in sides])
    groups = [side.question for side in sides]
    area, low, high = auc_interval(held_out_scores(x, y, groups, seed=seed), y, groups, seed)
    single = {name: float(auc(values, y)) for name, values in numeric.items()}
    return Audit(low <= 0.5, area, low, high, single)


def require_no_leak(found: Audit) -> None:
    """RecipeError where the surface tells right from wrong."""
    if not found.passed:
        worst = max(found.features, key=lambda name: abs(found.features[name] - 0.5))
        raise RecipeError(
            f"steering: the pairs can be told apart by their surface (AUC {found.auc:.2f}, 95 %: {found.low:.2f} to "
            f"{found.high:.2f}); of the numbers, {worst} alone has {found.features[worst]:.2f}",
            hint="use the scheme P1, or sides of equal length",
        )


def _numeric(tokenizer: Any, sides: Sequence[Side]) -> dict[str, torch.Tensor]:
    texts = [side.completion for side in sides]
    columns = {
        "tokens": [len(token_ids(tokenizer, text)) for text in texts],
        "characters": [len(text) for text in texts],
        "digits": [sum(letter.isdigit() for letter in text) for text in texts],
        "decimals": [sum(a == "." and b.isdigit() for a, b in pairwise(text)) for text in texts],
    }
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in columns.items()}


def _end_tokens(tokenizer: Any, sides: Sequence[Side]) -> torch.Tensor:
    """Whether a side begins, and whether it ends, with each of the most frequent tokens there."""
    ids = [token_ids(tokenizer, side.completion) or [-1] for side in sides]
    columns = []
    for tokens in ([text[0] for text in ids], [text[-1] for text in ids]):
        for token, _ in Counter(tokens).most_common(_TOKENS):
            columns.append([float(other == token) for other in tokens])
    return torch.tensor(columns, dtype=torch.float64).T
