"""Tabs in one line: a number key for each, and the mouse."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static


class TabStrip(Static):
    """Says which tab is chosen; the screen shows it."""

    active = reactive(0)

    @dataclass
    class Chosen(Message):
        index: int

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("", markup=False)
        self._labels = _labels(names)

    def offer(self, names: Sequence[str]) -> None:
        """Shows other tabs."""
        if _labels(names) != self._labels:
            self._labels = _labels(names)
            self.watch_active()

    def watch_active(self) -> None:
        parts = [
            (
                f"▸{label[1:]}" if index == self.active else label,
                "bold $primary" if index == self.active else "$foreground 60%",
            )
            for index, label in enumerate(self._labels)
        ]
        self.update(Content.assemble(*parts))

    def on_click(self, event: events.Click) -> None:
        end = self.styles.padding.left
        for index, label in enumerate(self._labels):
            end += cell_len(label)
            if event.x < end:
                self.post_message(self.Chosen(index))
                return


def _labels(names: Sequence[str]) -> list[str]:
    return [f" {number} {name} " for number, name in enumerate(names, 1)]
