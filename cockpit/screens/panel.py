"""Text over a screen, to read and to close; it may follow the store."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.messages import PanelRead
from cockpit.widgets.cells import Cell
from cockpit.widgets.text_view import TextView
from store.database import Database


class PanelScreen(ModalScreen[None]):
    """Lines that are given, or that are read and read again."""

    CSS_PATH = "panel.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "panel", Binding("escape,q,enter,w", "dismiss(None)", "Close")
    )

    def __init__(
        self,
        title: str,
        lines: Sequence[Sequence[Cell]] = (),
        feed: Feed | None = None,
        read: Callable[[Database], PanelRead] | None = None,
    ) -> None:
        super().__init__()
        self._title, self._given, self._feed, self._read = title, lines, feed, read

    def compose(self) -> ComposeResult:
        with Vertical(id="panel-box") as box:
            box.border_title = Content(self._title)
            box.border_subtitle = "esc closes"
            yield TextView(id="panel-text")

    def on_mount(self) -> None:
        self._show(self._given)
        if self._feed and self._read:
            self._feed.watch(self, self._read)

    def on_unmount(self) -> None:
        if self._feed:
            self._feed.unwatch(self)

    def on_panel_read(self, read: PanelRead) -> None:
        self._show(read.lines)

    def _show(self, lines: Sequence[Sequence[Cell]]) -> None:
        view = self.query_one(TextView)
        view.show([list(line) for line in lines])
        view.focus()
