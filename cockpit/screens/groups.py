"""Groups and schedules: how many jobs of a group run at once, what is paused, and which recipes come back by themselves."""

import time
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from cockpit.asked import Wish
from cockpit.feed import Feed
from cockpit.figures import clock
from cockpit.keymap import named
from cockpit.plain_text import plain_line
from cockpit.screens.asking import AskScreen
from cockpit.screens.confirm import ConfirmScreen
from cockpit.widgets.banner import Banner
from cockpit.widgets.cells import Cell, fit
from cockpit.widgets.row_list import RowList
from cockpit.widgets.slot_bar import SlotBar
from engines.recipe.cron import next_time
from store import groups, schedules
from store.database import Database
from store.groups import Group
from store.schedules import Schedule

_NONE = """\
No groups and no schedules.

`group: NAME` in a recipe lets its jobs share slots with others of the group.
`cron: 0 22 * * *` at the top of a recipe queues it again and again."""
_KIND, _STATE, _TIMES = 8, 14, 34
"""Cells of the columns beside the name: the last holds `0 22 * * 1-5, next 2026-11-17 22:00`."""


class GroupsScreen(Screen[None]):
    """A line for each; keys act on the one under the cursor."""

    follows_moment = False
    CSS_PATH = "groups.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "groups",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        Binding("p", "pause", "Pause", tooltip="Pause the group or the schedule, or let it go on"),
        Binding("s", "slots", "Slots", tooltip="Set how many jobs of the group may run at once"),
        Binding("x", "remove", "Remove", tooltip="Remove the schedule; what it has queued stays"),
    )

    @dataclass
    class ListRead(Message):
        entries: list[Group | Schedule]

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed
        self._entries: list[Group | Schedule] = []

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield RowList(id="groups", opens=False)
        yield Static(Content(_NONE), id="no-groups")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(RowList).focus()

    def on_screen_resume(self) -> None:
        self._feed.watch(self, _read)

    def on_screen_suspend(self) -> None:
        self._feed.unwatch(self)

    def on_groups_screen_list_read(self, message: ListRead) -> None:
        self._entries = message.entries
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        self.query_one("#no-groups").display = not self._entries
        rows, width = self.query_one(RowList), self.size.width - 2
        rows.display = bool(self._entries)
        header = _cells(("kind", "name", "state", "slots or times"), width, "muted")
        rows.show(header, [_line(entry, width) for entry in self._entries])

    @property
    def _current(self) -> Group | Schedule | None:
        place = self.query_one(RowList).cursor
        return self._entries[place] if place < len(self._entries) else None

    def action_pause(self) -> None:
        entry = self._current
        if isinstance(entry, Group):
            self._wish_group(entry.name, "goes on" if entry.paused else "is paused", paused=not entry.paused)
        elif entry:
            self._pause_schedule(entry)

    def _pause_schedule(self, entry: Schedule) -> None:
        paused = not entry.paused

        def act(database: Database) -> str:
            schedules.set_paused(database, entry.id, paused, next_time(entry.cron, time.time()))
            return f"schedule {entry.id} ({entry.name}) {'is paused' if paused else 'goes on'}"

        self.app.post_message(Wish(act))

    def action_slots(self) -> None:
        entry = self._current
        if not isinstance(entry, Group):
            return

        def answered(text: str | None) -> None:
            if text:
                slots = None if text == "none" else int(text)
                self._wish_group(
                    entry.name, f"has {'no limit' if slots is None else f'{slots} slots'}", slots=slots
                )

        value = "none" if entry.slots is None else str(entry.slots)
        question = f"Slots of group {plain_line(entry.name, 40)}"
        self.app.push_screen(
            AskScreen(question, "a number, or `none` for no limit", value, _wrong_slots), answered
        )

    def _wish_group(self, name: str, done: str, **changes: object) -> None:
        def act(database: Database) -> str:
            groups.set_group(database, name, **changes)
            return f"group {name} {done}"

        self.app.post_message(Wish(act))

    def action_remove(self) -> None:
        entry = self._current
        if not isinstance(entry, Schedule):
            return

        def act(database: Database) -> str:
            schedules.remove_schedule(database, entry.id)
            return f"schedule {entry.id} ({entry.name}) is removed"

        def answered(yes: bool | None) -> None:
            if yes:
                self.app.post_message(Wish(act))

        question = f"Remove schedule {entry.id}, {plain_line(entry.name, 60)}?"
        self.app.push_screen(ConfirmScreen(question, "What it has queued stays.", "Remove"), answered)

    def action_back(self) -> None:
        self.dismiss(None)


def _read(database: Database) -> GroupsScreen.ListRead:
    return GroupsScreen.ListRead([*groups.list_groups(database), *schedules.list_schedules(database)])


def _wrong_slots(text: str) -> str:
    return (
        ""
        if text == "none" or (text.isdecimal() and 1 <= int(text) <= 100_000)
        else "a number from 1, or `none`"
    )


def _line(entry: Group | Schedule, width: int) -> list[Cell]:
    if isinstance(entry, Group):
        slots = "no limit" if entry.slots is None else f"{entry.slots} slots"
        state = "paused" if entry.paused else f"{entry.running} run, {entry.waiting} wait"
        return _cells(("group", entry.name, state, slots), width, _paint(entry.paused))
    when = f"{entry.cron}, next {clock(entry.next_at) or 'never'}"
    name = f"{entry.id} {entry.name}"
    return _cells(("schedule", name, "paused" if entry.paused else "", when), width, _paint(entry.paused))


def _paint(paused: bool) -> str:
    return "attention" if paused else ""


def _cells(texts: tuple[str, str, str, str], width: int, paint: str) -> list[Cell]:
    """The name gets what room the others leave."""
    widths = (_KIND, min(max(width - _KIND - _STATE - _TIMES - 4, 12), 60), _STATE, _TIMES)
    return [(fit(plain_line(text, 200), room) + " ", paint) for text, room in zip(texts, widths, strict=True)]
