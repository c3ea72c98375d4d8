"""Which columns the queue shows at a width, and the cells of a job in them."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.cells import cell_len

from cockpit.figures import clock, fraction, number, percent, span
from cockpit.glyphs import STATUS_GLYPHS, progress_bar
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell, fit, fit_middle
from store.jobs import Job
from store.queue import JobRow
from store.schema import Status

STATUS_PAINTS: dict[str, str] = {
    Status.BLOCKED: "faint",
    Status.QUEUED: "",
    Status.STARTING: "attention",
    Status.RUNNING: "running",
    Status.SUCCEEDED: "succeeded",
    Status.FAILED: "failed",
    Status.CANCELLED: "faint",
    Status.LOST: "failed",
    "held": "attention",
    "stopping": "attention",
}


_WIDEST_NAME = 72
_LEAST_FOR_EXPERIMENT = 20


@dataclass(frozen=True)
class Column:
    """A column as wide as it is drawn; `title` may be empty."""

    key: str
    title: str
    width: int
    right: bool = False


def columns_for(width: int) -> list[Column]:
    """From 80 cells up nothing important is cut; more room brings more columns, then a longer bar and name."""
    room = max(width, 50)
    columns = [
        Column("mark", "", 1),
        Column("id", "#", 5, right=True),
        Column("status", "status", 11),
        Column("name", "job", 0),
        Column("progress", "progress", 9 if room < 100 else 16 if room < 150 else 26),
        Column("left", "left", 7, right=True),
        Column("loss", "loss", 7, right=True),
        Column("accuracy", "acc", 6, right=True),
    ]
    if room < 76:
        columns = [column for column in columns if column.key not in ("left", "loss")]
    if room >= 96:
        columns.insert(4, Column("engine", "engine", 8))
    if room >= 120:
        columns.append(Column("took", "took", 7, right=True))
    if room >= 140:
        columns.append(Column("started", "started", 16, right=True))
    taken = sum(column.width for column in columns) + len(columns)
    # A name far from its figures is hard to follow across a wide screen.
    name_width = min(room - taken, _WIDEST_NAME)
    return [
        Column(column.key, column.title, name_width) if column.key == "name" else column for column in columns
    ]


def header_cells(columns: list[Column]) -> list[Cell]:
    return [(fit(column.title, column.width, column.right) + " ", "header") for column in columns]


def row_cells(row: JobRow, columns: list[Column], seconds_left: float | None, marked: bool) -> list[Cell]:
    """One cell a column, each as wide as its column, so that a change is found by comparing."""
    cells: list[Cell] = []
    for column in columns:
        if column.key == "name":
            cells += _name_cells(row, column.width)
            continue
        text, paint = _FIGURES[column.key](row, column.width, seconds_left, marked)
        cells.append((fit(text, column.width, column.right) + " ", paint))
    return cells


def state_of(row: JobRow | Job) -> str:
    """The status as people read it: a held job is `held`, one that was asked to stop is `stopping`."""
    if row.held and row.status in (Status.QUEUED, Status.BLOCKED):
        return "held"
    if row.cancel_requested and row.status in (Status.STARTING, Status.RUNNING):
        return "stopping"
    return row.status.value


def _name_cells(row: JobRow, width: int) -> list[Cell]:
    experiment, name = plain_line(row.experiment, 80), plain_line(row.name, 300)
    # A single job has the name of its experiment; saying it twice helps nobody.
    if experiment == name or width < _LEAST_FOR_EXPERIMENT:
        return [(fit_middle(name, width) + " ", "")]
    prefix_width = min(cell_len(experiment) + 2, max(width // 3, 12))
    prefix = fit(f"{experiment}: ", prefix_width)
    return [(prefix, "faint"), (fit_middle(name, width - prefix_width) + " ", "")]


def _status(row: JobRow, width: int, seconds_left: float | None, marked: bool) -> Cell:
    state = state_of(row)
    return f"{STATUS_GLYPHS[state]} {state}", STATUS_PAINTS[state]


def _progress(row: JobRow, width: int, seconds_left: float | None, marked: bool) -> Cell:
    done = fraction(row.progress_done, row.progress_total)
    if row.status not in (Status.RUNNING, Status.STARTING) or done is None:
        if done is not None and done < 1 and row.status is not Status.SUCCEEDED:
            return f"{progress_bar(done, width - 5)} {int(done * 100):3d}%", "faint"
        return "", ""
    return f"{progress_bar(done, width - 5)} {int(done * 100):3d}%", "running"


def _took(row: JobRow) -> str:
    if row.started_at is None or row.ended_at is None:
        return ""
    return span(row.ended_at - row.started_at)


_FIGURES: dict[str, Callable[[JobRow, int, float | None, bool], Cell]] = {
    "mark": lambda row, width, left, marked: ("◆" if marked else "", "attention"),
    "id": lambda row, width, left, marked: (str(row.id), "faint"),
    "status": _status,
    "engine": lambda row, width, left, marked: (plain_line(row.engine, 40), "faint"),
    "progress": _progress,
    "left": lambda row, width, left, marked: (span(left), "figure"),
    "loss": lambda row, width, left, marked: (number(row.loss), "figure"),
    "accuracy": lambda row, width, left, marked: (percent(row.accuracy), "figure"),
    "took": lambda row, width, left, marked: (_took(row), "faint"),
    "started": lambda row, width, left, marked: (clock(row.started_at), "faint"),
}
