"""Which questions a step trains on: so many of every unit (a domain or a task), in an order that the seed decides.

Small units go round more often than large ones, each time in another order. What a step draws depends on the seed and
on how many of each unit were drawn before, which is all that a checkpoint has to hold.
"""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Literal

from engines.suite.item import Item

Sampling = Literal["equal", "proportional", "temperature"]
EpochBy = Literal["max", "min", "mean"]


class Mixture:
    """Draws the prompts of each step."""

    def __init__(
        self,
        units: Mapping[str, Sequence[Item]],
        batch: int,
        seed: int,
        *,
        sampling: Sampling = "equal",
        temperature: float = 1.0,
        all_units: bool = True,
        epoch_by: EpochBy = "max",
    ) -> None:
        self.units = {name: list(items) for name, items in units.items()}
        self.cursors = dict.fromkeys(self.units, 0)
        """Questions drawn so far, by unit."""
        self._batch = batch
        self._seed = seed
        self._weights = _weights([len(items) for items in self.units.values()], sampling, temperature)
        self._all_units = all_units
        self._orders: dict[tuple[str, int], list[int]] = {}
        self._epoch_by = epoch_by

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which the unit that takes longest, or shortest, has been gone through; or in which the mean one has."""
        shares = shares_of(self._weights, self._batch)
        needed = [
            len(items) / max(share, 1e-9) for items, share in zip(self.units.values(), shares, strict=True)
        ]
        chosen = {"max": max(needed), "min": min(needed), "mean": sum(needed) / len(needed)}
        return math.ceil(chosen[self._epoch_by])

    def draw(self, step: int) -> dict[str, list[Item]]:
        """The questions of a step, by unit. Steps are drawn in order."""
        if self._all_units:
            counts = shares_of(self._weights, self._batch)
        else:
            chance = random.Random(f"{self._seed} step {step}")
            drawn = chance.choices(range(len(self.units)), self._weights, k=self._batch)
            counts = [drawn.count(number) for number in range(len(self.units))]
        return {
            name: [self._next(name) for _ in range(count)]
            for name, count in zip(self.units, counts, strict=True)
            if count
        }

    def _next(self, unit: str) -> Item:
        items = self.units[unit]
        lap, place = divmod(self.cursors[unit], len(items))
        self.cursors[unit] += 1
        if (unit, lap) not in self._orders:
            self._orders = {key: order for key, order in self._orders.items() if key[0] != unit}
            order = list(range(len(items)))
            random.Random(f"{self._seed} {unit} {lap}").shuffle(order)
            self._orders[unit, lap] = order
        return items[self._orders[unit, lap][place]]


def shares_of(weights: Sequence[float], batch: int) -> list[int]:
    """`batch` dealt out by weight, largest remainders first; everybody gets one at least."""
    exact = [weight * batch / sum(weights) for weight in weights]
    counts = [max(1, math.floor(share)) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda n: (counts[n] - exact[n], n))
    for number in by_remainder[: max(0, batch - sum(counts))]:
        counts[number] += 1
    return counts


def _weights(sizes: Sequence[int], sampling: Sampling, temperature: float) -> list[float]:
    if sampling == "equal":
        return [1.0] * len(sizes)
    power = 1.0 if sampling == "proportional" else 1.0 / temperature
    return [size**power for size in sizes]
