"""What the queue screen says beside its rows."""

from textual.content import Content

from cockpit.figures import clock, percent, span
from cockpit.forecast import Span
from cockpit.plain_text import plain_line
from cockpit.widgets.job_columns import state_of
from cockpit.widgets.queue_summary import moments
from store.queue import JobRow
from store.schema import WAITING
from store.tree import ExperimentRow, TreeRow

EMPTY = """\
No jobs yet.

  n  chooses a recipe and queues its jobs
  ?  shows every key

From a shell:  tunedeck submit RECIPE.yaml"""


def detail(row: TreeRow, start: Span | None, marked: int) -> Content:
    """Two lines about a job or an experiment: what it is, and why it is as it is."""
    facts, why = _experiment(row) if isinstance(row, ExperimentRow) else _job(row, start)
    marks = f"◆ {marked} marked: keys act on them   " if marked else ""
    return Content.assemble(("  ".join(facts), ""), "\n", (marks, "$warning"), (why, "$foreground 60%"))


def _job(row: JobRow, start: Span | None) -> tuple[list[str], str]:
    facts = [
        f"#{row.id}",
        f"{plain_line(row.experiment, 60)}: {plain_line(row.name, 200)}",
        row.engine,
        state_of(row),
    ]
    if row.group:
        facts.append(f"group {plain_line(row.group, 40)}")
    if row.attempt > 1:
        facts.append(f"attempt {row.attempt}")
    if row.started_at:
        facts.append(f"started {clock(row.started_at)}")
    if row.started_at and row.ended_at:
        facts.append(f"took {span(row.ended_at - row.started_at)}")
    if row.priority:
        facts.append(f"priority {row.priority}")
    why = plain_line(row.reason or "", 400)
    if row.status in WAITING:
        likely = f"starts about {moments(start)}" if start else "w says why it waits"
        why = f"{likely}   {why}".rstrip()
    return facts, why


def _experiment(row: ExperimentRow) -> tuple[list[str], str]:
    counts = (
        (row.active, "running"), (row.waiting - row.held, "waiting"), (row.held, "held"), (row.failed, "failed"),
        (row.cancelled, "cancelled"),
    )  # fmt: skip
    facts = [f"experiment {row.id}", plain_line(row.name, 80), f"{row.done}/{row.jobs} done"]
    facts += [f"{count} {word}" for count, word in counts if count]
    why = ""
    if row.best is not None:
        why = f"best: {percent(row.best)} by job {row.best_job}, {plain_line(row.best_name or '', 200)}"
    return facts, why
