"""What a screen finds of the way it was left, and where it leaves it."""

from typing import TYPE_CHECKING, Any, cast

from textual.screen import Screen

from cockpit.view_state import ViewState

if TYPE_CHECKING:
    from cockpit.app import Cockpit


def cockpit_of(screen: Screen[Any]) -> "Cockpit":
    """The app around a screen, which is always the cockpit."""
    return cast("Cockpit", screen.app)


def view_of(screen: Screen[Any]) -> ViewState:
    return cockpit_of(screen).view_state
