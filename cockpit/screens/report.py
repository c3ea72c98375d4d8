"""What an experiment has shown: the report of `tunedeck report`, to read, to turn over and to write to files."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer

from cockpit.asked import Wish
from cockpit.clipboard import copy
from cockpit.comparison import GRADERS
from cockpit.exporting import safe_name
from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.plain_text import plain_line
from cockpit.report import contents
from cockpit.report.contents import Report
from cockpit.report.files import write_page
from cockpit.screens.asking import AskScreen
from cockpit.screens.left_view import cockpit_of
from cockpit.screens.report_text import plots_of, report_lines
from cockpit.widgets.banner import Banner
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.text_view import TextView
from store import jobs
from store.database import Database, StoreError


class ReportScreen(Screen[None]):
    """Works while jobs still run: what is missing is said. It is read when it opens, and again by key."""

    follows_moment = False
    CSS_PATH = "report.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "report",
        Binding("escape,backspace,p", "back", "Back", key_display="esc"),
        Binding("x", "axis", "X axis", tooltip="Choose what accuracy is drawn against"),
        Binding("t", "grader", "Grader", tooltip="Draw the strict or the robust accuracy"),
        Binding("e", "export", "Export", tooltip="Write the report with its plots as Markdown and SVG"),
        Binding("y", "copy", "Copy", tooltip="Copy the report as text"),
        Binding("R", "read", "Read again", show=False, tooltip="Read again what the experiment has shown"),
    )

    @dataclass
    class Known(Message):
        found: Report | None
        problem: str = ""

    def __init__(self, feed: Feed, job_id: int) -> None:
        """Of the experiment that a job belongs to."""
        super().__init__()
        self._feed, self._job_id = feed, job_id
        self._found: Report | None = None
        self._axis: str | None = None
        self._grader = GRADERS[0]

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield TextView(id="report")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(TextView).show([[("reading what the experiment has shown", "muted")]])
        self.query_one(TextView).focus()
        self._read()

    def on_resize(self) -> None:
        self._draw()

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _read(self) -> None:
        """A large sweep takes seconds: not on the UI's thread."""
        try:
            experiment = jobs.get_job(self._feed.database, self._job_id).experiment_id
            self.post_message(self.Known(contents.build(self._feed.database, experiment)))
        except (StoreError, OSError) as error:
            self.post_message(self.Known(None, str(error)))

    def on_report_screen_known(self, message: Known) -> None:
        self._found = message.found
        if message.found is None:
            self.query_one(TextView).show([[(plain_line(message.problem, 300), "bad")]])
            return
        if self._axis not in message.found.axes:
            self._axis = next(iter(message.found.axes), None)
        self._draw()

    def _draw(self) -> None:
        if self._found:
            view = self.query_one(TextView)
            width = max(view.scrollable_content_region.width, 40)
            view.show(report_lines(self._found, self._axis, self._grader, width))

    def action_axis(self) -> None:
        axes = self._found.axes if self._found else []
        if self._axis in axes:
            self._axis = axes[(axes.index(self._axis) + 1) % len(axes)]
            self._draw()

    def action_grader(self) -> None:
        self._grader = GRADERS[(GRADERS.index(self._grader) + 1) % len(GRADERS)]
        self._draw()

    def action_read(self) -> None:
        self._read()

    def action_copy(self) -> None:
        copy(cockpit_of(self), self.query_one(TextView).text + "\n", "report")

    def action_export(self) -> None:
        found = self._found
        if found is None:
            return

        def write(name: str | None) -> None:
            if name is not None:
                self.post_message(Wish(partial(_write, found, Path(name).expanduser().absolute())))

        at_first = cockpit_of(self).home / "exports" / f"{safe_name(found.name)}.md"
        hint = "Its plots are written beside it.   enter writes   esc goes back"
        self.app.push_screen(
            AskScreen("Write the report to which file?", hint, str(at_first), _wrong_name), write
        )

    def action_back(self) -> None:
        self.dismiss(None)


def _wrong_name(text: str) -> str:
    return "" if text.lower().endswith(".md") else "the name must end in .md"


def _write(found: Report, out: Path, _database: Database) -> str:
    written = write_page(found, out, plots_of(found, None))
    return f"Written: {out} and {len(written) - 1} files beside it"
