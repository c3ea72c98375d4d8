"""Models side by side: intervals, paired verdicts against a baseline, and the way to the examples behind them."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from cockpit.compare_reads import CASES, ComparisonReader, Pairing, counts
from cockpit.comparison import GRADERS, Comparison, Entry
from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.messages import ComparisonRead
from cockpit.plain_text import plain_line, plain_lines
from cockpit.screens import compare_text
from cockpit.screens.examples import ExamplesScreen
from cockpit.widgets.banner import Banner
from cockpit.widgets.row_list import RowList
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.text_view import TextView

_NOTHING = """

  esc   goes back
  space marks evaluations in the queue, v compares them

A job has scores once its evaluation has ended (`eval: true` adds one to a training job)."""


class CompareScreen(Screen[None]):
    """One grader at a time; the sentence below the table is about the model under the cursor."""

    CSS_PATH = "compare.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "compare",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        Binding("b", "baseline", "Baseline", tooltip="Compare with the model under the cursor"),
        Binding("t", "grader", "Grader", tooltip="Strict or robust grading"),
    )

    def __init__(self, feed: Feed, job_ids: Sequence[int]) -> None:
        super().__init__()
        self._feed, self._job_ids = feed, list(job_ids)
        self._baseline_id: int | None = None
        self._grader = GRADERS[0]
        self._table: Comparison | None = None

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield Static("", id="compare-title", markup=False)
        yield RowList(id="models")
        yield Static("", id="compare-empty", markup=False)
        yield TextView(id="verdict")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one("#verdict").can_focus = False
        self.query_one(RowList).focus()

    def on_screen_resume(self) -> None:
        self._feed.watch(self, ComparisonReader(self._job_ids, self._baseline_id))

    def on_screen_suspend(self) -> None:
        self._feed.unwatch(self)

    def on_resize(self) -> None:
        self._draw()

    def on_comparison_read(self, read: ComparisonRead) -> None:
        self._table = read.table
        empty = self.query_one("#compare-empty", Static)
        empty.display = read.table is None
        self.query_one(RowList).display = self.query_one("#verdict").display = read.table is not None
        if read.table is None:
            empty.update(Content("\n".join(plain_lines(f"Nothing to compare: {read.problem}")) + _NOTHING))
            return
        if self._baseline_id is None and len(read.table.entries) > 1:
            self.query_one(RowList).cursor = 1
        self._baseline_id = read.table.baseline.job.id
        self._draw(read.problem)

    def on_row_list_moved(self, message: RowList.Moved) -> None:
        self._describe()

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        table, entry = self._table, self._current
        if table is None or entry is None:
            return
        if entry is table.baseline:
            self.notify(
                "This is the baseline: open another model, or press b on one to change it.", timeout=4
            )
            return
        self.app.push_screen(ExamplesScreen(self._feed, Pairing(table.baseline, entry, self._grader)))

    def action_baseline(self) -> None:
        if entry := self._current:
            self._baseline_id = entry.job.id
            self._feed.watch(self, ComparisonReader(self._job_ids, self._baseline_id))

    def action_grader(self) -> None:
        self._grader = GRADERS[(GRADERS.index(self._grader) + 1) % len(GRADERS)]
        self._draw()

    def action_back(self) -> None:
        self.dismiss(None)

    @property
    def _current(self) -> Entry | None:
        cursor = self.query_one(RowList).cursor
        entries = self._table.entries if self._table else ()
        return entries[cursor] if cursor < len(entries) else None

    def _draw(self, left_out: str = "") -> None:
        table = self._table
        if table is None:
            return
        width = self.size.width - 2
        rows = [compare_text.row(table, entry, self._grader, width) for entry in table.entries]
        self.query_one(RowList).show(compare_text.header(table, self._grader, width), rows)
        protocol = table.baseline.protocol
        facts = [plain_line(str(protocol[key]), 40) for key in ("task", "split") if key in protocol]
        title = (
            f"◆ baseline {plain_line(table.baseline.label, 60)}   {self._grader} grading   {' '.join(facts)}"
        )
        note = f"   left out: {plain_line(left_out, 200)}" if left_out else ""
        self.query_one("#compare-title", Static).update(Content(title + note))
        self._describe()

    def _describe(self) -> None:
        table, entry = self._table, self._current
        if table is None or entry is None:
            return
        lines = compare_text.sentence(table, entry, self._grader)
        if entry is not table.baseline:
            cases = zip(counts(table, entry, self._grader), CASES, strict=True)
            lines += [
                [],
                [
                    ("enter shows the examples:  ", "accent"),
                    ("   ".join(f"{n} {name}" for n, name in cases), ""),
                ],
            ]
        self.query_one("#verdict", TextView).show([*lines, [], compare_text.metrics(entry)])
