"""A line that says what went wrong while the cockpit keeps running. Hidden when nothing did."""

from textual.content import Content
from textual.widgets import Static

from cockpit.plain_text import plain_line


class Banner(Static):
    """Follows `app.trouble`."""

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def on_mount(self) -> None:
        self.watch(self.app, "trouble", self._show)

    def _show(self, trouble: str | None) -> None:
        self.display = bool(trouble)
        if trouble:
            text = f"✗ cannot read, trying again: {plain_line(trouble, 300)}"
            self.update(Content(text))
