"""The terminal UI. Textual is imported here and below, and only when the TUI opens."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.theme import Theme

from cockpit import themes
from cockpit.ascii_filter import AsciiFilter
from cockpit.asked import ChooseRecipe, ChooseTheme, Compare, OpenGroups, OpenJob, WithResults
from cockpit.cell_diff import CellDiff
from cockpit.feed import POLL_SECONDS, Feed
from cockpit.glyphs import ascii_only
from cockpit.granting import Granting
from cockpit.keymap import KEYMAP_FILE, named, read_keymap
from cockpit.messages import ReadFailed, ReadRecovered, Slots, SlotsRead
from cockpit.meter import Meter
from cockpit.moments import moment_of
from cockpit.palette import KeyCommands, ThemeCommands
from cockpit.reads import read_slots
from cockpit.screens.help import HelpScreen, help_groups
from cockpit.screens.job import JobScreen
from cockpit.screens.queue import QueueScreen
from cockpit.theme_files import read_themes
from cockpit.view_state import ViewState
from store.database import Database, open_database
from store.machine import daemon_is_running

LOW_BANDWIDTH_POLL_SECONDS = 4.0
"""Between two looks at the store where every byte is dear."""
METER_SECONDS = 5.0


def run(home: Path, *, read_only: bool = False, low_bandwidth: bool = False, at: str | None = None) -> None:
    """Opens the cockpit on a home directory, and where `at` says so on its past; returns when the user quits.

    RecipeError where keymap, themes or the moment are wrong.
    """
    keymap, own_themes = read_keymap(home / KEYMAP_FILE), read_themes(home)
    database = open_database(home)
    # A key is answered while the feed reads: the interpreter's 5 ms between threads add up to what one can feel.
    sys.setswitchinterval(0.001)
    try:
        moment = None if at is None else moment_of(at, database)
        cockpit = Cockpit(
            database,
            read_only=read_only,
            low_bandwidth=low_bandwidth,
            keymap=keymap,
            own_themes=own_themes,
            moment=moment,
        )
        cockpit.run()
    finally:
        database.close()


class Cockpit(Granting):
    """Holds the feed and opens screens."""

    TITLE = "tunedeck"
    CSS_PATH = "cockpit.tcss"
    COMMANDS: ClassVar = {KeyCommands, ThemeCommands}
    BINDINGS: ClassVar[list[BindingType]] = named(
        "app",
        Binding("question_mark", "help", "Help", key_display="?", tooltip="Show every key"),
        Binding("ctrl+p", "command_palette", "Commands", show=False, tooltip="Find a command by name"),
        Binding("D", "start_daemon", "Start daemon", show=False, tooltip="Start the daemon when none runs"),
        Binding("U", "stop_daemon", "Stop daemon", show=False, tooltip="Stop the daemon; running jobs go on"),
        Binding("M", "machine", "Machine", show=False, tooltip="GPUs, load, disk and the daemon's health"),
        Binding(
            "B",
            "low_bandwidth",
            "Low bandwidth",
            show=False,
            tooltip="Look less often; shows the bytes a second",
        ),
        Binding("ctrl+l", "redraw", "Redraw", show=False, tooltip="Paint the whole screen again"),
        Binding("q,ctrl+c", "quit", "Quit", tooltip="Leave the cockpit; jobs keep running"),
    )

    slots: reactive[Slots | None] = reactive(None)
    trouble: reactive[str | None] = reactive(None)
    low_bandwidth: reactive[bool] = reactive(False, init=False)
    bytes_a_second: reactive[float] = reactive(0.0)
    """Measured in low-bandwidth mode alone: showing it costs bytes too."""

    def __init__(
        self,
        database: Database,
        *,
        poll_seconds: float = POLL_SECONDS,
        read_only: bool = False,
        low_bandwidth: bool = False,
        keymap: Mapping[str, str] | None = None,
        own_themes: Sequence[Theme] = (),
        moment: float | None = None,
    ) -> None:
        # Under NO_COLOR Textual drops colours only where it leaves them to the terminal, and asks once, here.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self.feed = Feed(database, self, poll_seconds)
        self.meter = Meter()
        self._cells = CellDiff()
        self.view_state = ViewState(database.home)
        self.read_only = read_only
        self.home = database.home
        self.present = database
        self._starts_at = moment
        self._poll_seconds = poll_seconds
        self._own_themes = own_themes
        self._starts_with_low_bandwidth = low_bandwidth
        self.keymap_given = dict(keymap or {})
        self.set_keymap(self.keymap_given)
        # Movement costs bytes and says nothing.
        self.animation_level = "none"
        if ascii_only():
            self._filters.append(AsciiFilter())

    def on_mount(self) -> None:
        for theme in (*themes.OURS, *self._own_themes):
            self.register_theme(theme)
        self.theme = themes.NO_COLOR if self.no_color else self._theme_left()
        if self._driver is not None:
            self.meter.attach(self._driver)
            self._cells.attach(self._driver)
        self.set_interval(METER_SECONDS, self._measure)
        self.low_bandwidth = self._starts_with_low_bandwidth
        if self._starts_at is not None:
            self.arrive(self._starts_at)
        self.push_screen(QueueScreen(self.feed, self.view_state))
        self.feed.watch(self, read_slots, lambda: daemon_is_running(self.home))
        self.run_worker(self.feed.run, thread=True, group="feed")

    def _theme_left(self) -> str:
        left = self.view_state.of("app").get("theme")
        return left if left in self.available_themes else themes.DARK.name

    def on_resize(self) -> None:
        self._cells.forget()

    def action_redraw(self) -> None:
        self._cells.forget()
        self.screen.refresh(layout=True)

    def on_choose_theme(self, message: ChooseTheme) -> None:
        self.theme = message.name
        self.view_state.leave("app", theme=message.name)

    def watch_low_bandwidth(self, low: bool) -> None:
        self.feed.poll_seconds = LOW_BANDWIDTH_POLL_SECONDS if low else self._poll_seconds
        self._measure()

    def _measure(self) -> None:
        # In hundreds: to the byte it would measure, and show, its own display for ever.
        self.bytes_a_second = round(self.meter.rate(), -2) if self.low_bandwidth else 0

    def action_low_bandwidth(self) -> None:
        self.low_bandwidth = not self.low_bandwidth

    def on_slots_read(self, message: SlotsRead) -> None:
        self.slots = message.slots

    def on_read_failed(self, message: ReadFailed) -> None:
        self.trouble = message.text

    def on_read_recovered(self, message: ReadRecovered) -> None:
        self.trouble = None

    def on_open_job(self, message: OpenJob) -> None:
        tab = "results" if message.is_evaluated else None
        self.push_screen(JobScreen(self.feed, message.job_id, tab, self.view_state))

    def on_compare(self, message: Compare) -> None:
        # Screens that are not needed for the first frame are imported when they are asked for.
        from cockpit.screens.compare import CompareScreen

        self.push_screen(CompareScreen(self.feed, message.job_ids))

    def on_with_results(self, message: WithResults) -> None:
        from cockpit.screens.results_wishes import WISHES

        WISHES[message.wish](self, message.job_ids)

    def on_open_groups(self, message: OpenGroups) -> None:
        from cockpit.screens.groups import GroupsScreen

        if self.is_now():
            self.push_screen(GroupsScreen(self.feed))

    def action_machine(self) -> None:
        from cockpit.screens.machine import MachineScreen

        if self.is_now() and not any(isinstance(screen, MachineScreen) for screen in self.screen_stack):
            self.push_screen(MachineScreen(self.feed))

    def on_choose_recipe(self, message: ChooseRecipe) -> None:
        from cockpit.screens.recipes import RecipesScreen

        if self.is_now():
            self.push_screen(RecipesScreen())

    def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(help_groups(self.screen)))

    def action_start_daemon(self) -> None:
        from cockpit.screens.daemon_wishes import start

        if not self.refuses():
            start(self, self.slots)

    def action_stop_daemon(self) -> None:
        from cockpit.screens.daemon_wishes import ask_to_stop

        if not self.refuses():
            ask_to_stop(self, self.slots)
