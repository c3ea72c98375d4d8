"""The terminal UI. Textual is imported here and below, and only when the TUI opens."""

from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.screen import Screen

from cockpit import themes
from cockpit.ascii_filter import AsciiFilter
from cockpit.feed import Feed
from cockpit.glyphs import ascii_only
from cockpit.messages import (
    ChooseRecipe,
    Compare,
    OpenJob,
    ReadFailed,
    ReadRecovered,
    Slots,
    SlotsRead,
    Wish,
    WishGranted,
    WishRefused,
)
from cockpit.palette import KeyCommands, ThemeCommands
from cockpit.plain_text import plain_line
from cockpit.reads import log_stamp, read_slots
from cockpit.screens.help import HelpScreen, help_groups
from cockpit.screens.job import JobScreen
from cockpit.screens.queue import QueueScreen
from store import machine
from store.database import Database, StoreError, open_database
from store.machine import daemon_is_running


def run(home: Path, *, theme: str | None = None) -> None:
    """Opens the cockpit on a home directory and returns when the user quits."""
    database = open_database(home)
    try:
        Cockpit(database, theme=theme).run()
    finally:
        database.close()


class Cockpit(App[None]):
    """Holds the feed, opens screens, and passes wishes on to the store."""

    TITLE = "tunedeck"
    CSS_PATH = "cockpit.tcss"
    COMMANDS: ClassVar = {KeyCommands, ThemeCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Help", key_display="?", tooltip="Show every key"),
        Binding("ctrl+p", "command_palette", "Commands", show=False, tooltip="Find a command by name"),
        Binding("D", "start_daemon", "Start daemon", show=False, tooltip="Start the daemon when none runs"),
        Binding("q,ctrl+c", "quit", "Quit", tooltip="Leave the cockpit; jobs keep running"),
    ]

    slots: reactive[Slots | None] = reactive(None)
    trouble: reactive[str | None] = reactive(None)

    def __init__(self, database: Database, *, theme: str | None = None) -> None:
        # Under NO_COLOR Textual drops colours only where it leaves them to the terminal.
        super().__init__()
        self.feed = Feed(database, self)
        self._database = database
        self._chosen_theme = theme
        # Movement costs bytes and says nothing.
        self.animation_level = "none"
        if ascii_only():
            self._filters.append(AsciiFilter())

    def on_mount(self) -> None:
        for theme in (themes.DARK, themes.LIGHT):
            self.register_theme(theme)
        self.theme = themes.NO_COLOR if self.no_color else self._chosen_theme or themes.DARK.name
        self.push_screen(QueueScreen(self.feed))
        self.feed.watch(self, read_slots, lambda: daemon_is_running(self._database.home))
        self.run_worker(self.feed.run, thread=True, group="feed")
