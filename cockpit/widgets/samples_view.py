"""Completions of a policy, one at a time: the newest, until the person looks at another one."""

from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.messages import RolloutRead
from cockpit.reads import file_stamp, read_sample
from cockpit.rollouts import rollout_file
from cockpit.screens.panel_text import rollout_lines
from cockpit.widgets.text_view import TextView


class SamplesView(TextView):
    """Follows the newest completion; `n` and `p` turn pages."""

    BINDINGS: ClassVar[list[BindingType]] = named(
        "samples",
        Binding("n", "turn(1)", "Next", tooltip="The completion after this one"),
        Binding("p", "turn(-1)", "Previous", tooltip="The completion before this one"),
        Binding("e", "newest", "Newest", show=False, tooltip="Follow the newest completion"),
    )

    def __init__(self, feed: Feed, run_dir: Path, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._feed, self._run_dir = feed, run_dir
        self._index: int | None = None
        self._shown = 0

    def watch_feed(self) -> None:
        read = partial(read_sample, run_dir=self._run_dir, index=self._index)
        path = rollout_file(self._run_dir)
        self._feed.watch(self, read, file_stamp(path) if path else None)

    def unwatch_feed(self) -> None:
        self._feed.unwatch(self)

    def on_unmount(self) -> None:
        self._feed.unwatch(self)

    def on_rollout_read(self, read: RolloutRead) -> None:
        if read.found:
            self._shown = read.found.index
        self.show(rollout_lines(read.found))

    def action_turn(self, by: int) -> None:
        self._index = self._shown = max(self._shown + by, 0)
        self.watch_feed()

    def action_newest(self) -> None:
        self._index = None
        self.watch_feed()
