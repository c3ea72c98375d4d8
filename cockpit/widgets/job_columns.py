"""Which columns the queue shows at a width, and the cells of a job or an experiment in them."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.cells import cell_len

from cockpit.figures import clock, fraction, number, percent, span
from cockpit.glyphs import STATUS_GLYPHS, progress_bar
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell, fit, fit_middle
from store.jobs import Job
from store.queue import JobRow, Sort
from store.schema import Status
from store.tree import ExperimentRow, TreeRow

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
        columns.append(Column("started", "started", 17, right=True))
    if room >= 160:
        columns.append(Column("priority", "prio", 5, right=True))
    taken = sum(column.width for column in columns) + len(columns)
    # A name far from its figures is hard to follow across a wide screen.
    name_width = min(room - taken, _WIDEST_NAME)
    return [
        Column(column.key, column.title, name_width) if column.key == "name" else column for column in columns
    ]


@dataclass(frozen=True)
class Beside:
    """What a line shows that is not in its row."""

    seconds_left: float | None = None
    """Of a job that runs, or of all of an experiment."""
    start: float | None = None
    """When a waiting job is likely to start, in Unix seconds."""
    marked: bool = False
    in_tree: bool = False
    is_ditto: bool = False
    """The line above is a job of the same experiment, which need not be named again."""


def header_cells(columns: list[Column], sort: Sort) -> list[Cell]:
    """The titles; that of the column that the jobs are sorted by has an arrow."""
    cells = []
    for column in columns:
        arrow = ("▴" if sort.reverse else "▾") if column.key == sort.column else ""
        title = fit(column.title, column.width - 1).rstrip() + arrow if arrow else column.title
        cells.append((fit(title, column.width, column.right) + " ", "header"))
    return cells


def row_cells(row: TreeRow, columns: list[Column], beside: Beside) -> list[Cell]:
    """One cell a column, each as wide as its column, so that a change is found by comparing."""
    if isinstance(row, ExperimentRow):
        return _experiment_cells(row, columns, beside)
    cells: list[Cell] = []
    for column in columns:
        if column.key == "name":
            cells += _name_cells(row, column.width, beside)
            continue
        text, paint = _FIGURES[column.key](row, column.width, beside)
        cells.append((fit(text, column.width, column.right) + " ", paint))
    return cells


def state_of(row: JobRow | Job) -> str:
    """The status as people read it: a held job is `held`, one that was asked to stop is `stopping`."""
    if row.held and row.status in (Status.QUEUED, Status.BLOCKED):
        return "held"
    if row.cancel_requested and row.status in (Status.STARTING, Status.RUNNING):
        return "stopping"
    return row.status.value


def _name_cells(row: JobRow, width: int, beside: Beside) -> list[Cell]:
    indent = 4 if beside.in_tree else 2 if beside.is_ditto else 0
    if indent:
        return [(" " * indent, ""), (fit_middle(plain_line(row.name, 300), width - indent) + " ", "")]
    experiment, name = plain_line(row.experiment, 80), plain_line(row.name, 300)
    # A single job has the name of its experiment; saying it twice helps nobody.
    if experiment == name or width < _LEAST_FOR_EXPERIMENT:
        return [(fit_middle(name, width) + " ", "")]
    prefix_width = min(cell_len(experiment) + 2, max(width // 3, 12, width - cell_len(name)))
    prefix = fit(experiment, prefix_width - 2) + ": "
    return [(prefix, "faint"), (fit_middle(name, width - prefix_width) + " ", "")]


def _status(row: JobRow, width: int, beside: Beside) -> Cell:
    state = state_of(row)
    return f"{STATUS_GLYPHS[state]} {state}", STATUS_PAINTS[state]


def _progress(row: JobRow, width: int, beside: Beside) -> Cell:
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


def _started(row: JobRow, width: int, beside: Beside) -> Cell:
    if row.status in (Status.QUEUED, Status.BLOCKED):
        return (f"~{clock(beside.start)}", "faint") if beside.start is not None else ("", "")
    return clock(row.started_at), "faint"


_FIGURES: dict[str, Callable[[JobRow, int, Beside], Cell]] = {
    "mark": lambda row, width, beside: ("◆" if beside.marked else "", "attention"),
    "id": lambda row, width, beside: (str(row.id), "faint"),
    "status": _status,
    "engine": lambda row, width, beside: (plain_line(row.engine, 40), "faint"),
    "progress": _progress,
    "left": lambda row, width, beside: (span(beside.seconds_left), "figure"),
    "loss": lambda row, width, beside: (number(row.loss), "figure"),
    "accuracy": lambda row, width, beside: (percent(row.accuracy), "figure"),
    "took": lambda row, width, beside: (_took(row), "faint"),
    "started": _started,
    "priority": lambda row, width, beside: (str(row.priority) if row.priority else "", "faint"),
}


def _experiment_cells(row: ExperimentRow, columns: list[Column], beside: Beside) -> list[Cell]:
    state, paint = experiment_state(row)
    shown = {
        "status": (state, paint),
        "left": (span(beside.seconds_left), "figure"),
        "accuracy": (percent(row.best), "figure"),
        "started": (clock(row.started_at), "faint"),
    }
    cells: list[Cell] = []
    for column in columns:
        if column.key == "name":
            fold = "▾ " if row.is_open else "▸ "
            tally = f"  {row.done}/{row.jobs} done"
            name = fit(plain_line(row.name, 200), max(column.width - len(fold) - len(tally), 4)).rstrip()
            cells.append((fold + name, "strong"))
            cells.append((fit(tally, column.width - cell_len(fold + name)) + " ", "faint"))
            continue
        if column.key == "progress":
            share = row.done / row.jobs if row.jobs else 0.0
            text = f"{progress_bar(share, column.width - 5)} {int(share * 100):3d}%", "succeeded"
        else:
            text = shown.get(column.key, ("", ""))
        cells.append((fit(text[0], column.width, column.right) + " ", text[1]))
    return cells


def experiment_state(row: ExperimentRow) -> Cell:
    """What matters most about an experiment: what failed, then what runs, then what waits."""
    for count, status, word in (
        (row.failed, Status.FAILED, "failed"),
        (row.active, Status.RUNNING, "running"),
        (row.waiting - row.held, Status.QUEUED, "waiting"),
    ):
        if count:
            # Eleven cells hold `● 9999 run` and `✗ 12 failed`.
            text = f"{STATUS_GLYPHS[status]} {count} {word}"
            return text if len(text) <= 11 else f"{STATUS_GLYPHS[status]} {count} {word[:3]}", STATUS_PAINTS[
                status
            ]
    if row.held:
        return f"{STATUS_GLYPHS['held']} {row.held} held", STATUS_PAINTS["held"]
    if row.done == row.jobs:
        return f"{STATUS_GLYPHS[Status.SUCCEEDED]} done", STATUS_PAINTS[Status.SUCCEEDED]
    return f"{STATUS_GLYPHS[Status.CANCELLED]} ended", STATUS_PAINTS[Status.CANCELLED]
