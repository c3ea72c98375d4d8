"""The terminal UI. Textual is imported here and below, and only when the TUI opens."""

import os
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from cockpit import themes
from cockpit.ascii_filter import AsciiFilter
from cockpit.control import start_daemon
from cockpit.feed import POLL_SECONDS, Feed
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
from cockpit.plain_text import plain_line, plain_lines
from cockpit.reads import read_slots
from cockpit.screens.help import HelpScreen, help_groups
from cockpit.screens.job import JobScreen
from cockpit.screens.queue import QueueScreen
from engines.recipe.errors import RecipeError
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

    def __init__(
        self, database: Database, *, theme: str | None = None, poll_seconds: float = POLL_SECONDS
    ) -> None:
        # Under NO_COLOR Textual drops colours only where it leaves them to the terminal, and asks once, here.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.feed = Feed(database, self, poll_seconds)
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

    def on_unmount(self) -> None:
        self.feed.stop()

    def on_slots_read(self, message: SlotsRead) -> None:
        self.slots = message.slots

    def on_read_failed(self, message: ReadFailed) -> None:
        self.trouble = message.text

    def on_read_recovered(self, message: ReadRecovered) -> None:
        self.trouble = None

    def on_open_job(self, message: OpenJob) -> None:
        self.push_screen(
            JobScreen(self.feed, message.job_id, "results" if message.is_evaluated else "curves")
        )

    def on_compare(self, message: Compare) -> None:
        # Screens that are not needed for the first frame are imported when they are asked for.
        from cockpit.screens.compare import CompareScreen

        self.push_screen(CompareScreen(self.feed, message.job_ids))

    def on_choose_recipe(self, message: ChooseRecipe) -> None:
        from cockpit.screens.recipes import RecipesScreen

        self.push_screen(RecipesScreen())

    def on_wish(self, message: Wish) -> None:
        self._grant(message)

    @work(thread=True, group="wishes", exit_on_error=False)
    def _grant(self, wish: Wish) -> None:
        """Writes a wish down. Whatever the store says against it is told to the user, and the cockpit goes on."""
        reply: Message
        try:
            reply = WishGranted(wish.act(self._database))
        except (StoreError, RecipeError) as error:
            reply = WishRefused(str(error))
        except Exception as error:
            # A locked database or a full disk: the user is told, and can try again.
            reply = WishRefused(f"{type(error).__name__}: {error}")
        machine.nudge(self._database.home)
        self.feed.look_now()
        self.post_message(reply)

    def on_wish_granted(self, message: WishGranted) -> None:
        self.notify(plain_line(message.text), timeout=3, markup=False)

    def on_wish_refused(self, message: WishRefused) -> None:
        text = "\n".join(plain_lines(message.text))
        self.notify(text, severity="error", timeout=10, markup=False)

    def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(help_groups(self.screen)))

    def action_start_daemon(self) -> None:
        if self.slots and self.slots.daemon_running:
            self.notify("A daemon runs already.", timeout=3)
            return
        self.notify("Starting a daemon...", timeout=2)
        self.post_message(Wish(lambda database: f"daemon {start_daemon(database)} runs"))
