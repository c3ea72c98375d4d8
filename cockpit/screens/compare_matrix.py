"""All cells of a comparison at once: a model a row, a grader, domain or task a column."""

from collections.abc import Sequence

from cockpit.comparison import Entry
from cockpit.figures import percent
from cockpit.parts import Cells, Column, PartCell
from cockpit.plain_text import plain_line
from cockpit.screens.compare_text import SIGNS
from cockpit.widgets.cells import Cell, fit, fit_middle

_COLUMN = 11
_NARROWEST_NAME, _WIDEST_NAME = 16, 48


def matrix(
    entries: Sequence[Entry], cells: Cells, columns: Sequence[Column], chosen: int, width: int
) -> tuple[list[Cell], list[list[Cell]]]:
    """Header and rows; of more columns than fit, those around the chosen one. The rows' chosen cell is in brackets."""
    longest = max(len(entry.label) for entry in entries) + 1
    name = min(max(longest, _NARROWEST_NAME), _WIDEST_NAME, max(width // 3, _NARROWEST_NAME))
    count = max((width - name - 4) // _COLUMN, 1)
    first = min(max(chosen - count // 2, 0), max(len(columns) - count, 0))
    shown = list(enumerate(columns))[first : first + count]
    header: list[Cell] = [(fit("  model", name + 2), "muted"), ("←" if first else " ", "muted")]
    for index, column in shown:
        paint = "strong" if index == chosen else "muted"
        header.append((fit_middle(plain_line(column.label, 60), _COLUMN - 1).rjust(_COLUMN), paint))
    header.append(("→" if first + count < len(columns) else " ", "muted"))
    rows: list[list[Cell]] = []
    for entry in entries:
        mark = "◆ " if cells[entry.job.id, columns[0]].verdict is None else "  "
        row: list[Cell] = [(mark, "accent"), (fit_middle(plain_line(entry.label, 200), name), ""), (" ", "")]
        for index, column in shown:
            row.append(_cell(cells[entry.job.id, column], index == chosen))
        rows.append(row)
    return header, rows


def _cell(cell: PartCell, chosen: bool) -> Cell:
    verdict = cell.verdict
    sign, paint = "", "accent"
    if verdict:
        sign, paint = ("?", "attention") if verdict.refused else SIGNS[verdict.text][::2]
    text = f"{percent(cell.share) or '–'} {sign or ' '}"
    return (f"[{text}]" if chosen else f"{text} ").rjust(_COLUMN), paint
