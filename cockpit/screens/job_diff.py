"""What sets two models apart: their recipes and those of the jobs they come from, code, packages and data."""

from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from cockpit.clipboard import copy
from cockpit.comparison import Entry
from cockpit.feed import Feed
from cockpit.job_diff import Section, job_differences
from cockpit.keymap import named
from cockpit.plain_text import plain_line
from cockpit.screens.left_view import cockpit_of
from cockpit.widgets.banner import Banner
from cockpit.widgets.cells import Cell
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.text_view import TextView
from store.database import StoreError


class JobDiffScreen(Screen[None]):
    """Only what differs is shown; a model and the one it is compared with."""

    follows_moment = False
    CSS_PATH = "job_diff.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "differences",
        Binding("escape,backspace,d", "back", "Back", key_display="esc"),
        Binding("y", "copy", "Copy", tooltip="Copy what differs as text"),
    )

    @dataclass
    class Known(Message):
        sections: list[Section]
        problem: str = ""

    def __init__(self, feed: Feed, first: Entry, second: Entry) -> None:
        super().__init__()
        self._feed, self._first, self._second = feed, first, second

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        names = [plain_line(entry.label, 60) for entry in (self._first, self._second)]
        yield Static(Content(f"What differs:  {names[0]}  ->  {names[1]}"), id="differences-title")
        yield TextView(id="differences")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(TextView).focus()
        self._find()

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _find(self) -> None:
        """Reads lists of packages and asks git: not on the UI's thread."""
        try:
            found = job_differences(self._feed.database, self._first.job, self._second.job)
            self.post_message(self.Known(found))
        except (StoreError, OSError) as error:
            self.post_message(self.Known([], str(error)))

    def on_job_diff_screen_known(self, message: Known) -> None:
        problem: list[list[Cell]] = [[(plain_line(message.problem, 300), "bad")]] if message.problem else []
        self.query_one(TextView).show([*problem, *difference_lines(message.sections)])

    def action_copy(self) -> None:
        copy(cockpit_of(self), self.query_one(TextView).text + "\n", "difference")

    def action_back(self) -> None:
        self.dismiss(None)


def difference_lines(sections: list[Section]) -> list[list[Cell]]:
    lines: list[list[Cell]] = []
    for section in sections:
        lines.append([(plain_line(section.title, 300), "strong")])
        width = max((len(change.key) for change in section.changes), default=0)
        for change in section.changes:
            key = plain_line(change.key, 80).ljust(min(width, 40))
            before, after = plain_line(change.before, 300), plain_line(change.after, 300)
            lines.append(
                [(f"  {key}  ", "accent"), (f"- {before}", "bad"), ("  ", ""), (f"+ {after}", "good")]
            )
        lines += [[("  ", ""), (plain_line(said, 400), "attention")] for said in section.origins]
        lines += [[("  ", ""), _patch_line(line)] for line in section.patch]
        if section.is_empty and "only the" not in section.title:
            lines.append([("  nothing differs: recipe, code, packages and data are the same", "muted")])
        lines.append([])
    return lines


def _patch_line(line: str) -> Cell:
    paint = {"+": "good", "-": "bad", "@": "accent"}.get(line[:1], "muted")
    return plain_line(line, 400), paint
