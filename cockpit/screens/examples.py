"""The examples behind a difference: who was right, and both completions side by side."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from cockpit.compare_reads import Pairing, read_example
from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.messages import ExampleRead
from cockpit.plain_text import plain_line, plain_lines
from cockpit.widgets.banner import Banner
from cockpit.widgets.cells import Cell
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.tab_strip import TabStrip
from cockpit.widgets.text_view import TextView
from store.results import ScoredExample


class ExamplesScreen(Screen[None]):
    """One question at a time, of the case that is chosen."""

    CSS_PATH = "examples.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "examples",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        Binding("right,n,l", "turn(1)", "Next", key_display="→"),
        Binding("left,p,h", "turn(-1)", "Previous", key_display="←"),
        Binding("1", "case(0)", "Only the baseline is right", show=False),
        Binding("2", "case(1)", "Only the other model is right", show=False),
        Binding("3", "case(2)", "Both are wrong", show=False),
        Binding("4", "case(3)", "Both are right", show=False),
    )

    def __init__(self, feed: Feed, pairing: Pairing) -> None:
        super().__init__()
        self._feed, self._pairing = feed, pairing
        self._cases = pairing.cases()
        # The case with something to see; what the newer model broke comes before what it fixed.
        self._case = next((index for index in (1, 0, 2, 3) if self._cases[index]), 1)
        self._place = 0

    def compose(self) -> ComposeResult:
        names = ("only A right", "only B right", "both wrong", "both right")
        yield SlotBar()
        yield Banner()
        yield TabStrip([f"{name} {len(case)}" for name, case in zip(names, self._cases, strict=True)])
        yield Static("", id="place", markup=False)
        yield TextView(id="question")
        with Horizontal(id="sides"):
            yield TextView(id="first")
            yield TextView(id="second")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#question").can_focus = False
        self.query_one("#first").focus()
        self.query_one(TabStrip).active = self._case

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

    def action_back(self) -> None:
        self.dismiss(None)

    def on_example_read(self, read: ExampleRead) -> None:
        if (case := self._cases[self._case]) and read.key == case[self._place]:
            self._show(read)

    def _watch(self) -> None:
        case = self._cases[self._case]
        if not case:
            self._feed.unwatch(self)
            self.query_one("#place", Static).update(
                Content("No example of this case. 1 to 4 choose another.")
            )
            for name in ("#question", "#first", "#second"):
                self.query_one(name, TextView).show([])
            return
        job_ids = self._pairing.baseline.job.id, self._pairing.entry.job.id
        self._feed.watch(self, partial(read_example, job_ids=job_ids, key=case[self._place]))

    def _show(self, read: ExampleRead) -> None:
        example_id, sample = read.key
        place = f"{self._place + 1} of {len(self._cases[self._case])}   {plain_line(example_id, 60)}"
        place += f"   sample {sample + 1}" if sample else ""
        self.query_one("#place", Static).update(Content(place))
        asked = read.baseline or read.entry
        fields = asked.fields if asked else {}
        question = [[(line, "")] for line in plain_lines(str(fields.get("question", "")))]
        gold: list[Cell] = [
            ("gold answer ", "muted"),
            (plain_line(str(fields.get("gold", "")), 60), "strong"),
        ]
        self.query_one("#question", TextView).show([*question, gold])
        pairing = self._pairing
        for name, label, example in (
            ("#first", f"A  {plain_line(pairing.baseline.label, 200)}", read.baseline),
            ("#second", f"B  {plain_line(pairing.entry.label, 200)}", read.entry),
        ):
            view = self.query_one(name, TextView)
            view.show(_side(label, example, pairing.grader))
            view.scroll_to(y=0, animate=False)


def _side(label: str, example: ScoredExample | None, grader: str) -> list[list[Cell]]:
    """A model's name, its verdict and answer, then what it wrote."""
    if example is None:
        return [[(label, "strong")], [("This example is gone from the store.", "attention")]]
    fields = example.fields
    right = example.strict if grader == "strict" else example.robust
    verdict: Cell = ("✓ right", "good") if right else ("✗ wrong", "bad")
    extracted = fields.get("extracted")
    answer = "no answer found" if extracted is None else f"answered {plain_line(str(extracted), 60)}"
    facts = [
        plain_line(str(fields.get("method") or ""), 40),
        f"{fields['tokens']} tokens" if "tokens" in fields else "",
    ]
    facts += ["ambiguous"] if fields.get("ambiguous") else []
    facts += [] if fields.get("terminated", True) else ["cut off"]
    text = plain_lines(str(fields.get("completion", "")))
    return [
        [(label, "strong")],
        [verdict, (f"  {answer}", "")],
        [("  ".join(fact for fact in facts if fact), "muted")],
        [],
        *([(line, "")] for line in text),
    ]
