"""Models side by side: intervals, paired verdicts against a baseline, and the way to the examples behind them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from cockpit.clipboard import copy
from cockpit.compare_reads import CASES, ComparisonReader, pairing
from cockpit.comparison import GRADERS, Comparison, Entry
from cockpit.comparison_files import as_markdown
from cockpit.feed import Feed
from cockpit.keymap import named
from cockpit.messages import ComparisonRead
from cockpit.parts import Cells, Column, PartCell, columns_of
from cockpit.plain_text import plain_line, plain_lines
from cockpit.screens import compare_text
from cockpit.screens.compare_export import export
from cockpit.screens.compare_matrix import matrix
from cockpit.screens.examples import ExamplesScreen
from cockpit.screens.job_diff import JobDiffScreen
from cockpit.screens.left_view import baseline_left, cockpit_of, leave_baseline, view_of
from cockpit.screens.overlay import OverlayScreen
from cockpit.widgets.banner import Banner
from cockpit.widgets.row_list import RowList
from cockpit.widgets.slot_bar import SlotBar
from cockpit.widgets.text_view import TextView

_NOTHING = """

  esc   goes back
  space marks evaluations in the queue, v compares them

A job has scores once its evaluation has ended (`eval: true` adds one to a training job)."""


class CompareScreen(Screen[None]):
    """One column of cells at a time, or all of them; the sentence below is about the cell under the cursor."""

    CSS_PATH = "compare.tcss"
    BINDINGS: ClassVar[list[BindingType]] = named(
        "compare",
        Binding("escape,backspace", "back", "Back", key_display="esc"),
        Binding("b", "baseline", "Baseline", tooltip="Compare with the model under the cursor"),
        Binding("t", "grader", "Grader", tooltip="Strict or robust grading"),
        Binding("right,l", "column(1)", "Next column", show=False, tooltip="The next grader, domain or task"),
        Binding("left,h", "column(-1)", "Previous column", show=False, tooltip="The grader, domain or task before"),
        Binding("m", "matrix", "All cells", tooltip="Every grader, domain and task beside each other, or one in detail"),
        Binding("u", "seeds", "Seeds", show=False, tooltip="Seeds of one method as one row, or each by itself"),
        Binding("d", "differences", "Diff", tooltip="Recipes, code and packages of this model and the baseline"),
        Binding("c", "curves", "Curves", show=False, tooltip="The training curves of these models over each other"),
        Binding("e", "export", "Export", show=False, tooltip="Write Markdown, CSV and SVG into a directory"),
        Binding("y", "copy", "Copy", tooltip="Copy the table and its verdicts as Markdown"),
    )  # fmt: skip

    def __init__(self, feed: Feed, job_ids: Sequence[int]) -> None:
        super().__init__()
        self._feed, self._job_ids = feed, list(job_ids)
        self._baseline_id: int | None = None
        self._column = Column(GRADERS[0])
        self._is_matrix = False
        self._table: Comparison | None = None
        self._cells: Cells = {}
        self._left_out = ""
        self._is_read = False
        self._read: ComparisonRead | None = None
        self._is_folded = True

    def compose(self) -> ComposeResult:
        yield SlotBar()
        yield Banner()
        yield Static("", id="compare-title", markup=False)
        yield RowList(id="models")
        yield Static("", id="compare-empty", markup=False)
        yield TextView(id="verdict")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        if (grader := view_of(self).of("compare").get("grader")) in GRADERS:
            self._column = Column(grader)
        self._baseline_id = baseline_left(self, self._job_ids)
        self.query_one("#verdict").can_focus = False
        self.query_one(RowList).focus()

    def on_screen_resume(self) -> None:
        self._feed.watch(self, ComparisonReader(self._job_ids, self._baseline_id))

    def on_screen_suspend(self) -> None:
        self._feed.unwatch(self)

    def on_resize(self) -> None:
        self._draw()

    def on_comparison_read(self, read: ComparisonRead) -> None:
        self._left_out, self._read = read.problem, read
        self._fold()
        empty = self.query_one("#compare-empty", Static)
        empty.display = read.table is None
        self.query_one(RowList).display = self.query_one("#verdict").display = read.table is not None
        if read.table is None:
            empty.update(Content("\n".join(plain_lines(f"Nothing to compare: {read.problem}")) + _NOTHING))
            return
        if not self._is_read and (table := self._table) and len(table.entries) > 1:
            self.query_one(RowList).cursor = int(table.baseline is table.entries[0])
        self._is_read = True
        self._baseline_id = read.table.baseline.job.id
        self._draw()

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
        if self._is_of_seeds(entry):
            self.notify("Several seeds stand here: u unfolds them, then open one.", timeout=4)
            return
        if not any(count for count, _ in self._cases(table, entry)):
            self.notify("No question here was asked of both: there are no examples to show.", timeout=4)
            return
        self.app.push_screen(ExamplesScreen(self._feed, pairing(table, entry, self._column)))

    def action_baseline(self) -> None:
        if entry := self._current:
            self._baseline_id = entry.job.id
            leave_baseline(self, self._job_ids, entry.job.id)
            self._feed.watch(self, ComparisonReader(self._job_ids, self._baseline_id))

    def action_grader(self) -> None:
        grader = GRADERS[(GRADERS.index(self._column.grader) + 1) % len(GRADERS)]
        self._choose(replace(self._column, grader=grader))

    def action_column(self, by: int) -> None:
        if columns := self._columns:
            place = columns.index(self._column) if self._column in columns else 0
            self._choose(columns[min(max(place + by, 0), len(columns) - 1)])

    def action_matrix(self) -> None:
        self._is_matrix = not self._is_matrix
        self._draw()

    def _choose(self, column: Column) -> None:
        self._column = column
        view_of(self).leave("compare", grader=column.grader)
        self._draw()

    def action_seeds(self) -> None:
        if self._read is None or self._read.folded is None:
            self.notify("No two of these models differ in their seed alone.", timeout=3)
            return
        self._is_folded = not self._is_folded
        self._fold()
        self._draw()

    def _fold(self) -> None:
        """Takes the rows to show from what was read: a method each, or a model each."""
        if (read := self._read) is not None:
            whole = (read.table, read.cells)
            self._table, self._cells = read.folded if read.folded and self._is_folded else whole

    def action_differences(self) -> None:
        if (table := self._table) and (entry := self._current) and entry is not table.baseline:
            self.app.push_screen(JobDiffScreen(self._feed, table.baseline, entry))
        else:
            self.notify("Move to a model other than the baseline to see what sets them apart.", timeout=4)

    def action_curves(self) -> None:
        if (read := self._read) and read.table:
            self.app.push_screen(OverlayScreen(self._feed, read.table.entries))

    def action_export(self) -> None:
        if self._read is not None and self._read.table is not None:
            export(self, self._read.table, self._read.cells)

    def action_copy(self) -> None:
        if (read := self._read) and read.table:
            copy(cockpit_of(self), as_markdown(read.table, read.cells), "comparison")

    def action_back(self) -> None:
        self.dismiss(None)

    @property
    def _current(self) -> Entry | None:
        cursor = self.query_one(RowList).cursor
        entries = self._table.entries if self._table else ()
        return entries[cursor] if cursor < len(entries) else None

    @property
    def _columns(self) -> list[Column]:
        return columns_of(self._table) if self._table else []

    def _cell(self, entry: Entry) -> PartCell:
        return self._cells.get((entry.job.id, self._column), PartCell(None))

    def _is_of_seeds(self, entry: Entry) -> bool:
        """Whether several models stand behind this row or the baseline's."""
        baseline = self._table.baseline if self._table else entry
        return self._cell(entry).seeds > 1 or self._cell(baseline).seeds > 1

    def _cases(self, table: Comparison, entry: Entry) -> list[tuple[int, str]]:
        """How many examples of each kind enter would show, if it shows any."""
        if entry is table.baseline or self._is_of_seeds(entry):
            return []
        return list(zip(map(len, pairing(table, entry, self._column).cases()), CASES, strict=True))

    def _draw(self) -> None:
        table = self._table
        if table is None:
            return
        columns, width = self._columns, self.size.width - 2
        if self._column not in columns:
            self._column = Column(self._column.grader)
        if self._is_matrix:
            place = columns.index(self._column)
            header, rows = matrix(table.entries, self._cells, columns, place, width)
        else:
            header = compare_text.header(self._column, width)
            rows = [
                compare_text.row(entry, self._cell(entry), self._column, width) for entry in table.entries
            ]
        self.query_one(RowList).show(header, rows)
        note = f"   left out: {plain_line(self._left_out, 200)}" if self._left_out else ""
        title = compare_text.title(table, self._column, len(columns))
        self.query_one("#compare-title", Static).update(Content(title + note))
        self._describe()

    def _describe(self) -> None:
        table, entry = self._table, self._current
        if table is None or entry is None:
            return
        verdict = self._cell(entry).verdict
        lines = compare_text.sentence(table, entry, self._column, verdict)
        lines += compare_text.seeds_line(self._cell(entry))
        lines += compare_text.cases_line(self._cases(table, entry))
        self.query_one("#verdict", TextView).show([*lines, [], compare_text.metrics(entry)])
