"""How a person left the screen of a job, for the next job and the next day: tab, curves, and metrics by engine.

What was left may have been edited by hand: whatever is not what it should be counts as not left.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cockpit.axes import AXES, STEP
from cockpit.curves_view import CurvesView

SCREEN = "job"
Chart = tuple[str, ...]


def curves_left(left: Mapping[str, Any], smoothings: int) -> CurvesView:
    """Smoothing, log scale and axis; never a part or a cursor, which belong to one curve."""
    smoothing, axis = left.get("smoothing"), left.get("axis")
    in_range = isinstance(smoothing, int) and 0 <= smoothing < smoothings
    return CurvesView(
        smoothing=smoothing if in_range and isinstance(smoothing, int) else 0,
        log_scale=left.get("log_scale") is True,
        axis=axis if axis in AXES else STEP,
    )


def tab_left(left: Mapping[str, Any], tabs: Sequence[str]) -> str:
    tab = left.get("tab")
    return str(tab) if tab in tabs else tabs[0]


def charts_left(left: Mapping[str, Any], engine: str, names: Sequence[str]) -> list[Chart] | None:
    """The charts chosen for a job of this engine, as far as this one has the metrics; None where none is left."""
    by_engine = left.get("charts")
    charts = by_engine.get(engine) if isinstance(by_engine, dict) else None
    if not isinstance(charts, list):
        return None
    known = (tuple(n for n in chart if n in names) for chart in charts if isinstance(chart, list))
    return [chart for chart in known if chart] or None


def to_leave(
    left: Mapping[str, Any], tab: str, view: CurvesView, engine: str, charts: Sequence[Chart] | None
) -> dict[str, Any]:
    """What to keep. Charts that nobody chose are none, so that new engines get their own."""
    kept: dict[str, Any] = {
        "tab": tab, "smoothing": view.smoothing, "log_scale": view.log_scale, "axis": view.axis
    }  # fmt: skip
    if charts is not None:
        before = left.get("charts")
        chosen = {engine: [list(chart) for chart in charts]}
        kept["charts"] = (before if isinstance(before, dict) else {}) | chosen
    return kept
