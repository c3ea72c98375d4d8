"""A line that says that this is the past, which moment of it, and how to leave it. Hidden in the present."""

import time

from textual.content import Content
from textual.keys import format_key
from textual.widgets import Static

from cockpit.figures import span
from cockpit.keymap import NAMED
from cockpit.moments import in_words


class ReplayBar(Static):
    """Follows `app.moment`. How long ago that was does not move: nothing does, in the past."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self.display = False

    def on_mount(self) -> None:
        self.watch(self.app, "moment", self._show)

    def _show(self, moment: float | None) -> None:
        self.display = moment is not None
        if moment is None:
            return
        keys = getattr(self.app, "keymap_given", {})
        shown = {name: _key(keys.get(f"replay.{name}", NAMED[f"replay.{name}"])) for name in _KEYS}
        # What a narrow screen cuts off is how long ago that was.
        words = "  ".join(
            (
                f"THE PAST: {in_words(moment)}",
                f"{shown['now']} now",
                f"{shown['event-back']} {shown['event-on']} event",
                f"{shown['hour-back']} {shown['hour-on']} hour",
                f"{shown['past']} moment",
                f"{span(time.time() - moment)} ago",
            )
        )
        self.update(Content(words))


_KEYS = ("now", "event-back", "event-on", "hour-back", "hour-on", "past")


def _key(keys: str) -> str:
    return format_key(keys.partition(",")[0])
