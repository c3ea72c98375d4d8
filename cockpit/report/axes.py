"""The axes of a plot of accuracy against budget, the same for the terminal and for SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cockpit import scales
from cockpit.report.plots import Plot
from cockpit.scales import Scale

_SLOT = 0.12
"""Where a logarithmic axis begins when there are zeros: those stand at its left end, apart."""
_ZERO = 0.03
_FEW = 6
_SPREAD = 4
"""A logarithmic axis is worth it when the largest budget is so many times the smallest."""


@dataclass(frozen=True)
class Across:
    """The budget axis. Budgets double, so it is logarithmic as soon as they spread; what costs nothing stands left."""

    scale: Scale
    ticks: tuple[float, ...]
    has_zeros: bool = False

    def position(self, value: float) -> float:
        """0 to 1 from the left."""
        if not self.scale.logarithmic:
            return self.scale.position(value)
        if value <= 0:
            return _ZERO
        start = _SLOT if self.has_zeros else 0.0
        return start + (1 - start) * self.scale.position(value)


def across(budgets: Sequence[float]) -> Across:
    """The axis for these budgets, with ticks at them where they are few, and a little room at both ends."""
    positive = sorted({value for value in budgets if value > 0})
    if positive and positive[-1] >= _SPREAD * positive[0]:
        room = (positive[-1] / positive[0]) ** 0.06
        low, high = positive[0] / room, positive[-1] * room
        zeros = len(positive) < len(set(budgets))
        ticks = positive if len(positive) <= _FEW else _decades(low, high)
        return Across(Scale(low, high, tuple(ticks), True), (0.0,) * zeros + tuple(ticks), zeros)
    top = max(budgets) or 1.0
    places = tuple(sorted(set(budgets)))
    start = -_ZERO * top if places[0] <= 0 else 0.0
    round_ones = scales.linear([0.0, top], _FEW).ticks
    return Across(Scale(start, top * 1.05, ()), places if len(places) <= _FEW else round_ones)


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten inside; only the powers where these are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [step * 10.0**power for power in powers for step in (1, 2, 5) if low <= step * 10.0**power <= high]
    return fine if len(fine) <= 7 else [tick for tick in fine if math.log10(tick) % 1 == 0] or fine[::2]


def up(plot: Plot) -> Scale:
    """The axis of shares: round bounds around all that is drawn."""
    values = [value for panel in plot.panels for _, value in panel.references]
    for panel in plot.panels:
        for dot in (dot for line in panel.lines for dot in line.dots):
            values += (dot.low, dot.value, dot.high) if panel.with_intervals else (dot.value,)
    low, high = min(values), max(values)
    margin = max(0.03 * (high - low), 0.005)
    scale = scales.linear([max(low - margin, 0.0), min(high + margin, 1.0)], 6)
    bounds = max(scale.low, 0.0), min(scale.high, 1.0)
    return Scale(*bounds, tuple(tick for tick in scale.ticks if bounds[0] <= tick <= bounds[1]))
