"""How curves are looked at: smoothing, log scale, axis, the part that is shown, and the cursor."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cockpit.axes import STEP, Axis
from cockpit.scales import Scale

_LEAST_STEPS = 4.0


@dataclass
class CurvesView:
    """The part is in steps, so that it stays the same on every axis; the cursor is a place on the axis."""

    smoothing: int = 0
    log_scale: bool = False
    axis: str = STEP
    part: tuple[float, float] | None = None
    cursor: float | None = None
    others: tuple[int, ...] = ()
    """Jobs whose curves are drawn beside."""
    axis_shown: Axis = field(default_factory=Axis)
    """The one that the curves were read for last."""

    def next_axis(self, offered: Sequence[str]) -> None:
        place = offered.index(self.axis) if self.axis in offered else -1
        self.axis = offered[(place + 1) % len(offered)]
        self.cursor = None

    def zoom(self, shown: Scale, factor: float) -> None:
        """`factor` times as much of the axis, around the cursor where it is in sight."""
        shown = self._in_sight(shown)
        in_sight = self.cursor is not None and shown.low <= self.cursor <= shown.high
        middle = self.cursor if in_sight and self.cursor is not None else (shown.low + shown.high) / 2
        half = (shown.high - shown.low) * factor / 2
        low, high = self._steps(middle - half, middle + half)
        if high - low < _LEAST_STEPS:
            return
        if self.part is None:
            self._whole = self._steps(shown.low, shown.high)
        whole = self._whole
        self.part = None if low <= whole[0] and high >= whole[1] else (max(low, 0.0), high)

    def pan(self, shown: Scale, by: float) -> None:
        """Along the axis, by a share of what is shown."""
        if self.part is None:
            return
        shown = self._in_sight(shown)
        shift = by * (shown.high - shown.low)
        low, high = self._steps(shown.low + shift, shown.high + shift)
        if low >= 0 and low < self._whole[1]:
            self.part = low, high

    def move_cursor(self, shown: Scale, by: int, columns: int) -> None:
        """By columns of the chart; the first move shows it in the middle of what is in sight."""
        width = shown.high - shown.low
        if self.cursor is None or not shown.low <= self.cursor <= shown.high:
            self.cursor = shown.low + width / 2
        moved = self.cursor + by * width / max(columns - 1, 1)
        self.cursor = min(max(moved, shown.low), shown.high)

    def _in_sight(self, shown: Scale) -> Scale:
        """What is shown, or will be once it is read: keys may come faster than curves."""
        if self.part is None:
            return shown
        return Scale(self.axis_shown.place(self.part[0]), self.axis_shown.place(self.part[1]), ())

    _whole: tuple[float, float] = (0.0, 0.0)

    def _steps(self, low: float, high: float) -> tuple[float, float]:
        return self.axis_shown.step(low), self.axis_shown.step(high)
