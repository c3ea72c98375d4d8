"""A comparison for elsewhere: Markdown for a report, CSV for a spreadsheet, SVG for a page."""

import csv
import io
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from cockpit.comparison import Comparison, Entry
from cockpit.figures import percent
from cockpit.parts import Cells, Column, PartCell, columns_of
from cockpit.plain_text import plain_line
from cockpit.report.forest_svg import Mark, Row, forest

_FIELDS = (
    "model", "job", "baseline", "grader", "kind", "part", "accuracy", "low", "high", "questions", "only_baseline_right",
    "only_this_right", "left_out", "difference", "difference_low", "difference_high", "p", "p_holm", "n_needed", "verdict",
)  # fmt: skip


def write_files(folder: Path, table: Comparison, cells: Cells) -> list[Path]:
    """Writes all three beside each other under a new name. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"comparison-{'-'.join(str(entry.job.id) for entry in table.entries[:6])}"
    stem += f"-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 0
    while any((folder / f"{_named(stem, number)}.{kind}").exists() for kind in ("md", "csv", "svg")):
        number += 1
    texts = {"md": as_markdown(table, cells), "csv": as_csv(table, cells), "svg": as_svg(table, cells)}
    written = []
    for kind, text in texts.items():
        path = folder / f"{_named(stem, number)}.{kind}"
        with path.open("x", encoding="utf-8", newline="", errors="replace") as file:
            file.write(text)
        written.append(path)
    return written


def _named(stem: str, number: int) -> str:
    return f"{stem}-{number}" if number else stem


def as_markdown(table: Comparison, cells: Cells) -> str:
    """What is compared, a table for each grader, and one of all parts where there are any."""
    columns = columns_of(table)
    parts = [f"Baseline: {_escaped(table.baseline.label)} (job {table.baseline.job.id})."]
    for column in [column for column in columns if column.kind == "whole"]:
        heads = [
            "model", "job", column.grader, "95 %", "difference", "95 %", "only this right", "only baseline right", "p",
            "p (Holm)", "verdict",
        ]  # fmt: skip
        rows = [_row(entry, cells[entry.job.id, column]) for entry in table.entries]
        parts.append(_table(heads, rows))
    for grader in dict.fromkeys(column.grader for column in columns if column.kind != "whole"):
        mine = [column for column in columns if column.grader == grader and column.kind != "whole"]
        rows = [
            [_escaped(entry.label), *(_short(cells[entry.job.id, column]) for column in mine)]
            for entry in table.entries
        ]
        heads = [f"{grader} by part", *(f"{_escaped(column.part)} ({column.kind})" for column in mine)]
        parts.append(_table(heads, rows))
    return "\n\n".join(parts) + "\n"


def as_csv(table: Comparison, cells: Cells) -> str:
    """One line a cell; shares as numbers between 0 and 1."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_FIELDS)
    for column in columns_of(table):
        for entry in table.entries:
            cell = cells[entry.job.id, column]
            writer.writerow(_line(table, entry, column, cell))
    return out.getvalue()


def as_svg(table: Comparison, cells: Cells) -> str:
    """Every model's accuracy with its interval under both graders, on the whole."""
    columns = [column for column in columns_of(table) if column.kind == "whole"]
    rows = [
        Row(
            ("◆ " if entry is table.baseline else "") + entry.label,
            [_mark(cells[entry.job.id, column]) for column in columns],
        )
        for entry in table.entries
    ]
    return forest("Accuracy with 95 % intervals", [column.grader for column in columns], rows)


def _mark(cell: PartCell) -> Mark | None:
    if cell.share is None:
        return None
    return Mark(cell.share, cell.low, cell.high, cell.verdict.text if cell.verdict else "baseline")


def _line(table: Comparison, entry: Entry, column: Column, cell: PartCell) -> list[object]:
    verdict = cell.verdict
    first = [
        plain_line(entry.label, 200), entry.job.id, table.baseline.job.id, column.grader, column.kind,
        plain_line(column.part, 200), cell.share, cell.low, cell.high,
    ]  # fmt: skip
    if verdict is None:
        return [*first, *[""] * 10, "baseline"]
    if verdict.refused:
        return [*first, *[""] * 10, verdict.text]
    return [
        *first, verdict.n, verdict.only_baseline, verdict.only_entry, verdict.left_out, verdict.difference, verdict.low,
        verdict.high, verdict.p, verdict.p_adjusted, verdict.needed, verdict.text,
    ]  # fmt: skip


def _row(entry: Entry, cell: PartCell) -> list[str]:
    verdict = cell.verdict
    interval = "" if cell.low is None or cell.high is None else f"{percent(cell.low)} to {percent(cell.high)}"
    first = [_escaped(entry.label), str(entry.job.id), percent(cell.share), interval]
    if verdict is None:
        return [*first, *[""] * 6, "baseline"]
    if verdict.refused:
        return [*first, *[""] * 6, _escaped(verdict.text)]
    words = verdict.text
    if verdict.needed and words == "no difference shown":
        words += f"; n needed {verdict.needed:,}"
    if verdict.left_out:
        words += f"; {verdict.left_out} questions left out, a grader failed on them"
    return [
        *first,
        f"{100 * verdict.difference:+.1f} pp",
        f"{100 * verdict.low:+.1f} to {100 * verdict.high:+.1f}",
        str(verdict.only_entry),
        str(verdict.only_baseline),
        f"{verdict.p:.2g}",
        f"{verdict.p_adjusted:.2g}",
        words,
    ]


def _short(cell: PartCell) -> str:
    verdict = cell.verdict
    if verdict is None or verdict.refused:
        return percent(cell.share) + (" (not comparable)" if verdict else "")
    return f"{percent(cell.share)} ({100 * verdict.difference:+.1f} pp, {verdict.text})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    return plain_line(text, 300).replace("\\", "\\\\").replace("|", "\\|")
