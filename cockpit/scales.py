"""Axes: bounds that stay put while a curve grows, round ticks, and where a value falls."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_TICK_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """Maps values to 0..1. `ticks` are inside the bounds, in ascending order."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def position(self, value: float) -> float:
        if self.logarithmic:
            return _ratio(math.log10(value), math.log10(self.low), math.log10(self.high))
        return _ratio(value, self.low, self.high)


def _ratio(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def round_up(value: float) -> float:
    """The next round number, so that an axis moves in rare jumps instead of with every point."""
    if value <= 0:
        return 1.0
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(step * magnitude for step in _ROUND if step * magnitude >= value * (1 - 1e-12))


def between(low: float, high: float, most_ticks: int) -> Scale:
    """Just these bounds, with round ticks inside of them."""
    high = high if high > low else low + 1
    step = tick_step(high - low, most_ticks)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Scale(low, high, tuple(index * step for index in range(first, last + 1)))


def halved_down_to(total: float, value: float) -> float:
    """The smallest half, quarter, eighth ... of a total that holds the value: an axis that jumps a few times in a run."""
    while total / 2 >= max(value, 10.0):
        total /= 2
    return total


def linear(values: Sequence[float], most_ticks: int) -> Scale:
    """Round bounds around the values."""
    low, high = min(values), max(values)
    if low == high:
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    step = tick_step(high - low, most_ticks)
    # Bounds are rounder than the values and finer than the ticks: little room is wasted, and they rarely move.
    fine = step / 4
    low, high = math.floor(low / fine + 1e-9) * fine, math.ceil(high / fine - 1e-9) * fine
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Scale(low, high, tuple(index * step for index in range(first, last + 1)))


def logarithmic(values: Sequence[float], most_ticks: int) -> Scale | None:
    """Bounds on round numbers around the positive values; None when there is none."""
    positive = [value for value in values if value > 0]
    if not positive:
        return None
    low = 1 / round_up(1 / min(positive))
    high = round_up(max(positive))
    if low >= high:
        low, high = low / 2, high * 2
    decades = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    thin = max(math.ceil(len(decades) / max(most_ticks - 1, 1)), 1)
    ticks = {10.0**decade for decade in decades[::thin]} | {low, high}
    return Scale(low, high, tuple(sorted(ticks)), True)


def tick_step(extent: float, most_ticks: int) -> float:
    """The smallest round step that needs no more ticks than that."""
    rough = extent / max(most_ticks - 1, 1)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(step * magnitude for step in _TICK_STEPS if step * magnitude >= rough * (1 - 1e-12))
