"""The examples behind a difference: who was right, and both completions with what only one of them says."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from cockpit.clipboard import copy
from cockpit.compare_reads import Pairing, read_example
from cockpit.example_filter import KINDS, Key, Sought, find
from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.messages import ExampleRead
from cockpit.plain_text import plain_line
from cockpit.screens.example_text import as_markdown, question_lines, sides
from cockpit.screens.left_view import cockpit_of, view_of
from cockpit.widgets.banner import Banner
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.tab_strip import TabStrip
from cockpit.widgets.text_view import TextView

_NAMES = ("only A right", "only B right", "both wrong", "both right")
_SIDE_BY_SIDE_WIDTH = 100


class CompletionView(TextView):
    """Text in which the words that only this one has stand out, without colour too."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"text-view--own"}


class ExamplesScreen(Screen[None]):
    """One question at a time, of the case that is chosen and of those that are sought."""

    follows_moment = False
    CSS_PATH = "examples.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "examples",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        Binding("right,n,l", "turn(1)", "Next", key_display="→"),
        Binding("left,p,h", "turn(-1)", "Previous", key_display="←"),
        Binding("d", "diff", "Diff", tooltip="Mark the words that only one of the two has, or do not"),
        Binding("slash", "search", "Search", key_display="/", tooltip="Examples with this text in question or completions"),
        Binding("c", "kind(1)", "Kind", tooltip="Only examples with the next kind of mistake"),
        Binding("C", "kind(-1)", "Kind before", show=False, tooltip="Only examples with the kind of mistake before"),
        Binding("y", "copy", "Copy", tooltip="Copy the example as Markdown"),
        Binding("1", "case(0)", "Only the baseline is right", show=False),
        Binding("2", "case(1)", "Only the other model is right", show=False),
        Binding("3", "case(2)", "Both are wrong", show=False),
        Binding("4", "case(3)", "Both are right", show=False),
    )  # fmt: skip

    @dataclass
    class Found(Message):
        sought: Sought
        keys: set[Key]

    def __init__(self, feed: Feed, pairing: Pairing) -> None:
        super().__init__()
        self._feed, self._pairing = feed, pairing
        self._all = self._cases = pairing.cases()
        # The case with something to see; what the newer model broke comes before what it fixed.
        self._case = next((index for index in (1, 0, 2, 3) if self._cases[index]), 1)
        self._place = 0
        self._sought = Sought()
        self._read: ExampleRead | None = None
        self._with_diff = True

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield TabStrip(self._labels())
        yield Static("", id="place", markup=False)
        yield TextView(id="question")
        with Container(id="sides"):
            yield CompletionView(id="first")
            yield CompletionView(id="second")
        yield Input(placeholder="text in the question or a completion", id="search", compact=True)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._with_diff = view_of(self).of("examples").get("diff") is not False
        self.query_one("#search").display = False
        self.query_one("#question").can_focus = False
        self.query_one("#first").focus()
        self.query_one(TabStrip).active = self._case

    def on_resize(self) -> None:
        self.query_one("#sides").set_class(self.size.width < _SIDE_BY_SIDE_WIDTH, "stacked")

    def on_screen_resume(self) -> None:
        self._watch()

    def on_screen_suspend(self) -> None:
        self._feed.unwatch(self)

    def on_tab_strip_chosen(self, message: TabStrip.Chosen) -> None:
        self.action_case(message.index)

    def action_case(self, index: int) -> None:
        self._case, self._place = index, 0
        self.query_one(TabStrip).active = index
        self._watch()

    def action_turn(self, by: int) -> None:
        if case := self._cases[self._case]:
            self._place = (self._place + by) % len(case)
            self._watch()

    def action_diff(self) -> None:
        self._with_diff = not self._with_diff
        view_of(self).leave("examples", diff=self._with_diff)
        self._show()

    def action_search(self) -> None:
        box = self.query_one("#search", Input)
        box.display = True
        self.set_focus(box)

    def action_kind(self, by: int) -> None:
        kind = KINDS[(KINDS.index(self._sought.kind) + by) % len(KINDS)]
        self._seek(replace(self._sought, kind=kind))

    def action_copy(self) -> None:
        if self._read is not None:
            copy(cockpit_of(self), as_markdown(self._read, self._pairing), "example")

    def action_back(self) -> None:
        box = self.query_one("#search", Input)
        if self._sought or box.display:
            box.value, box.display = "", False
            self.query_one("#first").focus()
            self._seek(Sought())
        else:
            self.dismiss(None)

    @on(Input.Changed, "#search")
    def _search_changed(self, event: Input.Changed) -> None:
        self._seek(replace(self._sought, text=event.value.strip()))

    @on(Input.Submitted, "#search")
    def _search_submitted(self, event: Input.Submitted) -> None:
        event.input.display = bool(event.value)
        self.query_one("#first").focus()

    def _seek(self, sought: Sought) -> None:
        if sought == self._sought:
            return
        self._sought = sought
        if sought:
            self._find(sought)
        else:
            self.workers.cancel_group(self, "find")
            self._narrow(None)

    @work(thread=True, exclusive=True, group="find", exit_on_error=False)
    def _find(self, sought: Sought) -> None:
        """Reads every completion: not on the UI's thread."""
        worker = get_current_worker()
        keys = find(self._feed.database, self._pairing, sought, lambda: worker.is_cancelled)
        self.post_message(self.Found(sought, keys))

    def on_examples_screen_found(self, message: Found) -> None:
        if message.sought == self._sought:
            self._narrow(message.keys)

    def _narrow(self, keys: set[Key] | None) -> None:
        self._cases = [[key for key in case if keys is None or key in keys] for case in self._all]
        self._place = 0
        strip = self.query_one(TabStrip)
        strip.offer(self._labels())
        self._watch()

    def _labels(self) -> list[str]:
        return [f"{name} {len(case)}" for name, case in zip(_NAMES, self._cases, strict=True)]

    def on_example_read(self, read: ExampleRead) -> None:
        if (case := self._cases[self._case]) and read.key == case[self._place]:
            self._read = read
            self._show()
            for name in ("#first", "#second"):
                self.query_one(name, TextView).scroll_to(y=0, animate=False)

    def _watch(self) -> None:
        case = self._cases[self._case]
        if not case:
            self._feed.unwatch(self)
            self._read = None
            others = "" if self._sought else " 1 to 4 choose another."
            note = f"No example of this case.{others}{self._said()}"
            self.query_one("#place", Static).update(Content(note))
            for name in ("#question", "#first", "#second"):
                self.query_one(name, TextView).show([])
            return
        job_ids = self._pairing.baseline.job.id, self._pairing.entry.job.id
        self._feed.watch(self, partial(read_example, job_ids=job_ids, key=case[self._place]))

    def _said(self) -> str:
        """What is sought, and how to seek no longer."""
        text = f"with `{plain_line(self._sought.text, 60)}`" if self._sought.text else ""
        kind = f"mistake: {self._sought.kind.replace('_', ' ')}" if self._sought.kind else ""
        told = "  ".join(part for part in (text, kind) if part)
        return f"   {told}   esc shows all" if told else ""

    def _show(self) -> None:
        read = self._read
        if read is None:
            return
        example_id, sample = read.key
        place = f"{self._place + 1} of {len(self._cases[self._case])}   {plain_line(example_id, 60)}"
        place += f"   sample {sample + 1}" if sample else ""
        column = self._pairing.column
        place += f"   {column.grader}{f', {plain_line(column.part, 40)}' if column.part else ''}"
        self.query_one("#place", Static).update(Content(place + self._said()))
        self.query_one("#question", TextView).show(question_lines(read))
        first, second = sides(read, self._pairing, self._with_diff)
        self.query_one("#first", TextView).show(first)
        self.query_one("#second", TextView).show(second)
