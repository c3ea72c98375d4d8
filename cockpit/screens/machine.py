"""The machine: GPUs, load, memory, disk, the daemon's health, groups and schedules; and making room."""

import time
from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer

from cockpit.asked import OpenGroups, Wish
from cockpit.cleanup import Plan, Sizes, clean_up, measure
from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.machine_facts import MachineFacts, read_facts
from cockpit.screens.asking import PickScreen
from cockpit.screens.confirm import ConfirmScreen
from cockpit.screens.machine_text import machine_lines
from cockpit.widgets.banner import Banner
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.text_view import TextView
from store.database import Database

_SHOWN = 6


class MachineScreen(Screen[None]):
    """Read once a second; drawn when something that is shown has changed."""

    follows_moment = False
    CSS_PATH = "machine.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "machine",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        Binding(
            "P",
            "prune",
            "Clean up",
            tooltip="Show what would make room, choose, and delete it after a question",
        ),
        Binding("R", "measure", "Measure again", show=False, tooltip="Measure the home directory again"),
        Binding("S", "groups", "Groups", tooltip="Groups and schedules: slots, pause, resume, remove"),
    )

    @dataclass
    class FactsRead(Message):
        facts: MachineFacts

    @dataclass
    class Measured(Message):
        sizes: Sizes

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed
        self._facts: MachineFacts | None = None
        self._sizes: Sizes | None = None

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield TextView(id="machine")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(TextView).focus()
        self.action_measure()

    def on_screen_resume(self) -> None:
        # What is not in the database changes by itself: it is looked at once a second.
        self._feed.watch(
            self, lambda database: self.FactsRead(read_facts(database)), lambda: int(time.monotonic())
        )

    def on_screen_suspend(self) -> None:
        self._feed.unwatch(self)

    def on_machine_screen_facts_read(self, message: FactsRead) -> None:
        self._facts = message.facts
        self._draw()

    def on_machine_screen_measured(self, message: Measured) -> None:
        self._sizes = message.sizes
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        if self._facts:
            width = max(self.size.width - 4, 20)
            self.query_one(TextView).show(machine_lines(self._facts, self._sizes, width))

    @work(thread=True, exclusive=True, group="measure", exit_on_error=False)
    def action_measure(self) -> None:
        self.post_message(self.Measured(measure(self._feed.database)))

    def action_prune(self) -> None:
        plans = [plan for plan in self._sizes.plans if plan.victims] if self._sizes else []
        if not plans:
            self.notify("Nothing to clean up." if self._sizes else "Being measured.", timeout=3)
            return

        def chosen(place: int | None) -> None:
            if place is not None:
                self._confirm(plans[place])

        self.app.push_screen(PickScreen("What may go?", [plan.line for plan in plans]), chosen)

    def _confirm(self, plan: Plan) -> None:
        def act(database: Database) -> str:
            done = clean_up(database, plan)
            self.action_measure()
            return done

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.post_message(Wish(act))

        home = self._feed.database.home
        names = [str(victim.path.relative_to(home)) for victim in plan.victims[:_SHOWN]]
        more = [f"and {len(plan.victims) - _SHOWN} more"] if len(plan.victims) > _SHOWN else []
        self.app.push_screen(
            ConfirmScreen(f"Delete for good? {plan.line}", "\n".join([*names, *more]), "Delete"), answered
        )

    def action_groups(self) -> None:
        self.app.post_message(OpenGroups())

    def action_back(self) -> None:
        self.dismiss(None)
