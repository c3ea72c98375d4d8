"""What a screen finds of the way it was left, and where it leaves it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from textual.screen import Screen

from cockpit.view_state import ViewState

MOST_BASELINES = 50
"""Choices of a baseline that are remembered."""

if TYPE_CHECKING:
    from cockpit.app import Cockpit


def cockpit_of(screen: Screen[Any]) -> "Cockpit":
    """The app around a screen, which is always the cockpit."""
    return cast("Cockpit", screen.app)


def view_of(screen: Screen[Any]) -> ViewState:
    return cockpit_of(screen).view_state


def baseline_left(screen: Screen[Any], job_ids: Sequence[int]) -> int | None:
    """The baseline that was chosen last when these jobs were compared."""
    kept = view_of(screen).of("compare").get("baselines")
    chosen = kept.get(_named(job_ids)) if isinstance(kept, dict) else None
    return chosen if isinstance(chosen, int) else None


def leave_baseline(screen: Screen[Any], job_ids: Sequence[int], chosen: int) -> None:
    kept = view_of(screen).of("compare").get("baselines")
    others = list(kept.items())[-MOST_BASELINES:] if isinstance(kept, dict) else []
    view_of(screen).leave("compare", baselines=dict(others) | {_named(job_ids): chosen})


def _named(job_ids: Sequence[int]) -> str:
    return ",".join(map(str, job_ids))
