"""Dynamic Activation Composition: each token is steered as strongly as steering moves the distribution it is drawn from.

Scalena, Sarti and Nissim 2024 (2406.17563). At every token: the next-token distribution without steering and with a
strong one, both cut to the union of their nuclei; their divergence, capped, is the strength for this token.

The published code reads the whole sequence three times for every token. Here three caches are fed the same tokens: never
steered (O), steered at `alpha_probe` from the prompt's last token on (S), and steered as computed (the batch's own).
What is past never changes, so the strengths are the same.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from engines.steer.directions import Steering
from engines.steer.spec import Dac


def nucleus(probabilities: torch.Tensor, top_p: float, keep_crossing: bool) -> torch.Tensor:
    """Which tokens (..., vocabulary) make up the first `top_p` of the mass, most likely first; with `keep_crossing` the
    one that reaches it is among them, so that there is always one."""
    ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
    total = ordered.cumsum(dim=-1)
    kept = total - ordered < top_p if keep_crossing else total <= top_p
    return torch.zeros_like(kept).scatter(-1, order, kept)


def strength(original: torch.Tensor, steered: torch.Tensor, dac: Dac) -> torch.Tensor:
    """Strengths (rows,) from logits (rows, vocabulary) without steering and with it: equation 4 of the paper with the
    spec's switches. 0 where both nuclei are empty."""
    log_o, log_s = original.double().log_softmax(dim=-1), steered.double().log_softmax(dim=-1)
    kept = nucleus(log_o.exp(), dac.top_p, dac.keep_crossing) | nucleus(
        log_s.exp(), dac.top_p, dac.keep_crossing
    )
    count = kept.sum(dim=-1)
    some = kept | (count == 0)[..., None]  # renormalising nothing would give what is not a number
    log_o = log_o.masked_fill(~some, -torch.inf).log_softmax(dim=-1)
    log_s = log_s.masked_fill(~some, -torch.inf).log_softmax(dim=-1)
    p, q = (log_o, log_s) if dac.kl_dir == "orig||steer" else (log_s, log_o)
    divergence = torch.where(some & (p > -torch.inf), p.exp() * (p - q), 0.0).sum(dim=-1)
    if dac.kl_norm == "nucleus":
        divergence = divergence / count.clamp(min=1)
    return torch.where(count == 0, 0.0, divergence.clamp(0.0, dac.cap)).float()


@dataclass(eq=False)
class Branches:
    """The O and S branches of those rows of a batch that have a `dac` schedule."""

    rows: list[object]
    """Who they are, in the batch's order."""
    steerings: list[Steering]
    places: list[int]
    """Where they stand in the batch now."""
    cache: DynamicCache
    """Of 2 n rows: O of each, then S of each."""

    @classmethod
    def of(
        cls, rows: Sequence[object], steerings: Sequence[Steering | None], cache: DynamicCache
    ) -> "Branches":
        """Branches of a batch whose cache holds the prompts without their last token, read without steering."""
        places = [place for place, steering in enumerate(steerings) if dac_of(steering) is not None]
        own = copy.deepcopy(cache)
        device = cache.layers[0].keys.device
        own.batch_select_indices(torch.tensor(places * 2, device=device))
        wanted = [steering for steering in steerings if steering is not None and dac_of(steering) is not None]
        return cls([rows[place] for place in places], wanted, places, own)

    def keep(self, rows: Sequence[object]) -> None:
        """The batch has these rows now, in this order: some have ended."""
        where = {id(row): place for place, row in enumerate(rows)}
        alive = [number for number, row in enumerate(self.rows) if id(row) in where]
        if len(alive) < len(self.rows):
            count = len(self.rows)
            kept = alive + [count + number for number in alive]
            device = self.cache.layers[0].keys.device
            self.cache.batch_select_indices(torch.tensor(kept, dtype=torch.long, device=device))
            self.rows = [self.rows[number] for number in alive]
            self.steerings = [self.steerings[number] for number in alive]
        self.places = [where[id(row)] for row in self.rows]

    def strengths(self, logits: torch.Tensor) -> list[float]:
        """Strength of each branch's row, from logits (2 n, vocabulary) of O and S."""
        original, steered = logits.chunk(2)
        found: list[float] = []
        for number, steering in enumerate(self.steerings):
            dac = dac_of(steering)
            assert dac is not None
            found.append(float(strength(original[number], steered[number], dac)))
        return found

    def settle(self, cache: DynamicCache) -> None:
        """Where only the newest token is steered, what was written for it becomes what it is without steering."""
        count = len(self.rows)
        for number, (place, steering) in enumerate(zip(self.places, self.steerings, strict=True)):
            dac = dac_of(steering)
            if dac is None or dac.history:
                continue
            for own, other in zip(self.cache.layers, cache.layers, strict=True):
                for mine, theirs in ((own.keys, other.keys), (own.values, other.values)):
                    mine[count + number, :, -1] = mine[number, :, -1]
                    theirs[place, :, -1] = mine[number, :, -1]


def dac_of(steering: Steering | None) -> Dac | None:
    """The steering's `dac` schedule, where it has one."""
    schedule = None if steering is None else steering.spec.schedule
    return schedule if isinstance(schedule, Dac) else None
