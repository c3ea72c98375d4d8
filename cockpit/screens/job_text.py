"""A job in words: the lines of the head, recipe, history and results of its screen."""

import yaml
from textual.content import Content

from cockpit.figures import clock, figure, fraction, number, span
from cockpit.glyphs import STATUS_GLYPHS, progress_bar
from cockpit.messages import HistoryRead, JobRead, RecipeRead, ResultsRead
from cockpit.plain_text import plain_line, plain_lines
from cockpit.screens.cosine_text import cosine_lines
from cockpit.screens.health_text import worst_line
from cockpit.screens.heat_text import heat_lines
from cockpit.screens.panel_text import checkpoint_lines, provenance_cells, round_lines
from cockpit.screens.study_text import study_lines
from cockpit.widgets.cells import Cell
from cockpit.widgets.text_view import HANG
from store.results import Score
from store.schema import ACTIVE, Status

STATE_COLOURS: dict[str, str] = {
    Status.BLOCKED: "$foreground 60%",
    Status.QUEUED: "$foreground",
    Status.STARTING: "$warning",
    Status.RUNNING: "$primary",
    Status.SUCCEEDED: "$success",
    Status.FAILED: "$error",
    Status.CANCELLED: "$foreground 60%",
    Status.LOST: "$error",
    "held": "$warning",
    "stopping": "$warning",
}
_FIRST = (
    "strict", "robust", "openai_strict", "lm_eval_flexible", "tpt_strict", "thinking", "answered", "truncated"
)  # fmt: skip
_NEWEST = {
    "lm_loss": "lm_loss",
    "jepa_loss": "jepa_loss",
    "margin": "margin",
    "retrieval": "R@1",
    "effective_rank": "rank",
    "loss": "loss",
    "eval_loss": "eval_loss",
    "reward": "reward",
    "train_reward_mean": "reward",
    "validation_reward_mean": "val_reward",
    "mean_domains": "mean_domains",
    "acc_robust": "acc_robust",
    "dev_accuracy_strict": "dev_accuracy_strict",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "tokens_per_second": "tokens_per_second",
}
"""Metrics whose newest value the head shows, in this order, and how they are called there."""
_PANEL = "panel/"
"""What is measured on a fixed panel of examples is a figure of the job like any other."""
_NAME_WIDTH = 40


def head(read: JobRead, state: str, width: int) -> Content:
    """Three lines: which job, how far, and its newest figures; more where its curves or its worker tell of trouble."""
    job = read.job
    parts = [
        (f"#{job.id}  ", "$foreground 60%"),
        (f"{plain_line(job.experiment, 60)}: ", "$foreground 60%"),
        (plain_line(job.name, 120), "bold"),
        (f"  {plain_line(job.engine, 20)}", "$foreground 60%"),
        (f"  {STATUS_GLYPHS[state]} {state}", f"bold {STATE_COLOURS[state]}"),
    ]
    if job.attempt > 1:
        parts.append((f"  attempt {job.attempt}", "$foreground 60%"))
    warning: list[tuple[str, str]] = []
    if read.warning:
        warning = [(f"\n! {plain_line(' '.join(read.warning.split()), 300)}", "bold $warning")]
    trouble = [*worst_line(read.health), *warning]
    return Content.assemble(*parts, "\n", _how_far(read, width), "\n", _figures(read, width), *trouble)


def _how_far(read: JobRead, width: int) -> Content:
    job = read.job
    done = fraction(job.progress_done, job.progress_total)
    if job.status in ACTIVE and done is not None:
        bar = progress_bar(done, max(min(width - 44, 60), 10))
        left = f"   {span(read.seconds_left)} left" if read.seconds_left is not None else ""
        unit = plain_line(job.progress_unit or "", 12)
        tail = f"  {number(job.progress_done)}/{number(job.progress_total)} {unit}{left}"
        return Content.assemble((bar, "$primary on $panel"), (f" {int(done * 100):3d}%", "bold"), tail)
    if job.status is Status.BLOCKED and read.waits_for:
        return Content(f"waits for {', '.join(plain_line(name, 60) for name in read.waits_for)}")
    took = f"took {span(job.ended_at - job.started_at)}, " if job.started_at and job.ended_at else ""
    ended = f"ended {clock(job.ended_at)}" if job.ended_at else f"submitted {clock(job.created_at)}"
    colour = "$error" if job.status in (Status.FAILED, Status.LOST) else "$foreground 60%"
    return Content.assemble(
        (f"{took}{ended}", "$foreground 60%"), (f"   {plain_line(job.reason or '', 300)}", colour)
    )


def _figures(read: JobRead, width: int) -> Content:
    scores = {score.name: score for score in read.scores}
    if "strict" in scores:
        parts = [_score_text(scores[name]) for name in ("strict", "robust") if name in scores]
        return Content(
            "   ".join(f"{name} {text}" for name, text in zip(("strict", "robust"), parts, strict=False))
        )
    measured = {series.name.removeprefix(_PANEL): series for series in read.series}
    newest = measured | {series.name: series for series in read.series}
    line = ""
    for name, label in _NEWEST.items():
        # What was logged and is no number is one the store keeps none for.
        text = f"{label} {figure(name, newest[name].last_value) or 'NaN'}" if name in newest else ""
        # A figure that does not fit is left out: half a number is a wrong one.
        if text and len(line) + len(text) + 5 <= width:
            line += f"{'   ' if line else ''}{text}"
    return Content(line)


def _score_text(score: Score) -> str:
    low, high, n = (score.fields.get(key) for key in ("low", "high", "n"))
    interval = ""
    if isinstance(low, int | float) and isinstance(high, int | float):
        interval = f"  [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{figure(score.name, score.value)}{interval}" + (f"  n {n}" if n else "")


def recipe_lines(read: RecipeRead) -> list[list[Cell]]:
    """Where the job came from, and its resolved recipe as YAML, keys apart from values."""
    text = yaml.safe_dump(read.job.recipe, sort_keys=False, allow_unicode=True, width=100)
    return [*provenance_cells(read.provenance), *yaml_lines(text)]


def yaml_lines(text: str) -> list[list[Cell]]:
    lines: list[list[Cell]] = []
    for line in plain_lines(text):
        key, colon, value = line.partition(":")
        if line.lstrip().startswith("#"):
            lines.append([(line, "muted")])
        elif colon and (not value or value.startswith(" ")) and "'" not in key and '"' not in key:
            lines.append([(key + colon, "accent"), (value, "")])
        else:
            lines.append([(line, "")])
    return lines


def history_lines(read: HistoryRead) -> list[list[Cell]]:
    """Transitions and messages in one order of time, then the attempts."""
    entries: list[tuple[float, list[Cell]]] = []
    for step in read.transitions:
        colour = {"succeeded": "good", "failed": "bad", "lost": "bad"}.get(step.to_status, "strong")
        glyph = STATUS_GLYPHS.get(step.to_status, "·")
        reason = f"  {plain_line(step.reason)}" if step.reason else ""
        entries.append((step.time, [(f"{glyph} {step.to_status}", colour), (reason, "")]))
    for note in read.notes:
        if not note.text and note.kind == "started":
            continue
        paint = {"error": "bad", "warning": "attention"}.get(note.level, "")
        kind = plain_line(note.kind, 20) if note.kind not in ("message", "started") else ""
        label = f"{kind}: " if kind and note.text else kind
        for index, line in enumerate(plain_lines(note.text)):
            entries.append((note.time, [("  " + (label if index == 0 else "  ") + line, paint)]))
    entries.sort(key=lambda entry: entry[0])
    lines: list[list[Cell]] = [[(f"{clock(moment)}  ", "muted"), HANG, *cells] for moment, cells in entries]
    return [*lines, [], *_attempt_lines(read)]


def _attempt_lines(read: HistoryRead) -> list[list[Cell]]:
    lines: list[list[Cell]] = []
    for attempt in read.attempts:
        took = attempt.ended_at - attempt.started_at if attempt.ended_at and attempt.started_at else None
        usage = attempt.usage or {}
        facts = [
            f"attempt {attempt.number}",
            attempt.outcome or "under way",
            f"took {span(took)}" if took is not None else "",
            f"exit code {attempt.exit_code}" if attempt.exit_code is not None else "",
            f"GPU {', '.join(attempt.devices)}" if attempt.devices else "",
            *(
                f"{plain_line(str(key), 30)} {number(value)}"
                for key, value in usage.items()
                if isinstance(value, int | float)
            ),
        ]
        lines.append([("   ".join(plain_line(fact, 200) for fact in facts if fact), "muted")])
    return lines


def result_lines(read: ResultsRead, run_dir: str) -> list[list[Cell]]:
    """Scores with their intervals, then what the job left on disk."""
    lines: list[list[Cell]] = []
    if read.scores:
        lines.append([("Scores", "strong")])
        by_name = {score.name: score for score in read.scores}
        known = [name for name in _FIRST if name in by_name]
        width = min(max(map(len, by_name)), _NAME_WIDTH)
        for name in [*known, *(name for name in by_name if name not in known)]:
            label = plain_line(name, _NAME_WIDTH).ljust(width)
            lines.append([(f"  {label}  ", "accent"), (_score_text(by_name[name]), "")])
        lines.append([])
    lines += round_lines(read.rounds)
    lines += study_lines(read.studies)
    lines += heat_lines(read.heat_maps)
    lines += cosine_lines(read.cosines)
    lines += checkpoint_lines(read.checkpoints)
    # Checkpoints have lines of their own.
    files = [one for one in read.artifacts if one.name != "checkpoint" or one.step is None]
    if files:
        lines.append([("Files", "strong"), (f"  in {plain_line(run_dir)}", "muted")])
        for artifact in files:
            step = f"  step {artifact.step}" if artifact.step is not None else ""
            lines.append(
                [
                    (f"  {plain_line(artifact.name, 30):<20}  ", "accent"),
                    (plain_line(artifact.path), ""),
                    (step, "muted"),
                ]
            )
    return lines or [[("No scores and no files yet. They appear here when the job reports them.", "muted")]]
