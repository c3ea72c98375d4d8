"""A comparison in words and columns."""

import re
from collections.abc import Sequence

from cockpit.comparison import GRADERS, Comparison, Entry, Verdict
from cockpit.figures import figure, percent
from cockpit.parts import Column, PartCell
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell, fit, fit_middle
from store.results import Score

_FIXED = 60
"""Cells that every column but the model's name takes at the narrowest."""

_BAR_WIDTH = 34
_WIDEST_NAME = 48
_VERDICT_WIDTH = 14
_METRICS = ("strict", "robust", "answered", "thinking", "truncated", "mean_tokens")
_METRIC_WIDTH = 12
SIGNS = {
    "better": ("▲", "better", "good"),
    "worse": ("▼", "worse", "bad"),
    "no difference shown": ("≈", "not shown", "attention"),
}
"""How a verdict is shown: by shape, word and paint."""
_OF_ROUND = re.compile(r"r\d+/")


def title(table: Comparison, column: Column, columns: int) -> str:
    """What is compared with what, in a line."""
    protocol = table.baseline.protocol
    facts = [
        plain_line(str(protocol[key]), 40) for key in ("task", "split") if isinstance(protocol.get(key), str)
    ]
    part = f" of {column.kind} {plain_line(column.part, 40)}" if column.part else ""
    more = f"   ← → {columns} columns" if columns > len(GRADERS) else ""
    base = plain_line(table.baseline.label, 60)
    return f"◆ baseline {base}   {column.grader} grading{part}   {' '.join(facts)}{more}"


def header(column: Column, width: int) -> list[Cell]:
    name = _name_width(width)
    cells: list[Cell] = [
        (fit("", 2) + fit("model", name), "muted"),
        (fit(plain_line(column.label, 40), 8, right=True) + fit("  95 %", 15), "muted"),
    ]
    if _has_bar(width):
        cells.append((fit("0", _BAR_WIDTH // 2) + fit("100 %", _BAR_WIDTH // 2, right=True) + "  ", "muted"))
    cells.append((fit("difference", 11, right=True) + fit("p (Holm)", 10, right=True), "muted"))
    cells.append((fit("  verdict", _VERDICT_WIDTH), "muted"))
    extra = _extra(column.grader, width)
    return [*cells, *((fit(name, _METRIC_WIDTH, right=True), "muted") for name in extra)]


def row(entry: Entry, cell: PartCell, column: Column, width: int) -> list[Cell]:
    """One model: its score with interval, and the verdict against the baseline, which has none."""
    mark, paint = ("  ", "") if cell.verdict else ("◆ ", "accent")
    name = fit_middle(plain_line(entry.label, 200), _name_width(width) - 1) + " "
    low, high = cell.low, cell.high
    interval = f"  {100 * low:4.1f} – {100 * high:4.1f}" if low is not None and high is not None else ""
    cells: list[Cell] = [
        (mark, "accent"),
        (name, paint),
        (fit(percent(cell.share), 8, right=True), "strong"),
        (fit(interval, 15), "muted"),
    ]
    if _has_bar(width):
        cells += [*_bar(cell), ("  ", "")]
    cells += (
        _verdict_cells(cell.verdict)
        if cell.verdict
        else [(fit("   baseline", 21 + _VERDICT_WIDTH), "accent")]
    )
    extra = (_metric(entry.scores.get(name)) for name in _extra(column.grader, width))
    return [*cells, *((fit(text, _METRIC_WIDTH, right=True), "") for text in extra)]


def sentence(table: Comparison, entry: Entry, column: Column, verdict: Verdict | None) -> list[list[Cell]]:
    """What may be claimed about a model, in full."""
    label, base = plain_line(entry.label, 100), plain_line(table.baseline.label, 100)
    if verdict is None:
        return [
            [(f"{label} is the baseline. Move to another model and press enter for the examples.", "muted")]
        ]
    if verdict.refused:
        return [[("? Not comparable: ", "attention"), (plain_line(verdict.refused, 300), "strong")]]
    claims = {
        "better": (f"{label} is better than {base}", "good"),
        "worse": (f"{label} is worse than {base}", "bad"),
    }
    claim = claims.get(verdict.text, (f"No difference shown between {label} and {base}", "attention"))
    points = (
        f"{100 * verdict.difference:+.1f} points, 95 % {100 * verdict.low:+.1f} to {100 * verdict.high:+.1f}"
    )
    where = f"{column.grader}{f', {plain_line(column.part, 40)}' if column.part else ''}"
    return [
        [claim, (f" ({where}): {points}.", "")],
        [(f"{_counts(verdict)} {_tested(verdict)}", "muted")],
        *([[(_needed(verdict), "")]] if verdict.text == "no difference shown" else []),
    ]


def seeds_line(cell: PartCell) -> list[list[Cell]]:
    """How far the seeds lie apart, where there are several."""
    if cell.band is None:
        return []
    worst, best = (percent(value) for value in cell.band)
    told = f"{cell.seeds} seeds: {worst} to {best}, mean {percent(cell.share)}; u unfolds them."
    return [[(told, "accent"), ("  The interval is over seeds and questions.", "muted")]]


def _counts(verdict: Verdict) -> str:
    said = (
        f"Of {verdict.n} questions, {verdict.only_entry} only it got right, {verdict.only_baseline} only the"
        " baseline."
    )
    if verdict.seeds > 1:
        said = (
            f"Of {verdict.n} questions, {verdict.only_entry} it got right in more seeds, {verdict.only_baseline} in"
            " fewer."
        )
    if verdict.left_out:
        said += f" {verdict.left_out} more left out of both: a grader failed on them."
    return said


def _tested(verdict: Verdict) -> str:
    family = verdict.among
    return (
        f"Paired test: p = {p_value(verdict.p)}, {p_value(verdict.p_adjusted)} adjusted for {family}"
        f" comparison{'s' if family != 1 else ''}."
    )


def _needed(verdict: Verdict) -> str:
    """How many questions the gap that was seen would need."""
    if verdict.resolvable is not None:
        known = f"{verdict.seeds} pair{'s' * (verdict.seeds > 1)} of models on {verdict.n} questions"
        return (
            f"{known} show a true difference of {100 * verdict.resolvable:.1f} points four times out of five."
        )
    if verdict.needed is None:
        return "They are level: no number of questions would show a difference of 0."
    if verdict.needed <= verdict.n:
        return f"A true gap like this shows four times out of five with {verdict.needed:,} questions; this was the fifth."
    return (
        f"n needed: a true gap like this would show four times out of five with {verdict.needed:,} questions."
    )


def metrics(entry: Entry) -> list[Cell]:
    """Every metric of a model in a line; the table has room for few of them. Those of single rounds are other models'."""
    known = [name for name in _METRICS if name in entry.scores]
    rest = [name for name in entry.scores if name not in known and not _OF_ROUND.match(name)]
    text = "   ".join(f"{plain_line(name, 40)} {_metric(entry.scores[name])}" for name in [*known, *rest])
    return [("metrics  ", "muted"), (text, "")]


def _metric(score: Score | None) -> str:
    if score is None or score.value is None:
        return ""
    return figure(score.name, round(score.value, 1) if score.name.endswith("tokens") else score.value)


def _extra(grader: str, width: int) -> list[str]:
    """More metrics, where the table leaves room."""
    room = width - _FIXED - _BAR_WIDTH - _WIDEST_NAME - 2
    return [name for name in _METRICS if name != grader][: max(room // _METRIC_WIDTH, 0)]


def p_value(p: float) -> str:
    return f"{p:.1e}" if p < 1e-4 else f"{p:.4f}"


def _verdict_cells(verdict: Verdict) -> list[Cell]:
    if verdict.refused:
        return [(fit("", 21), ""), (fit("  ? refused", _VERDICT_WIDTH), "attention")]
    glyph, word, paint = SIGNS[verdict.text]
    difference = fit(f"{100 * verdict.difference:+.1f}", 11, right=True)
    p = fit(p_value(verdict.p_adjusted), 10, right=True)
    return [(difference, ""), (p, ""), (fit(f"  {glyph} {word}", _VERDICT_WIDTH), paint)]


def _bar(cell: PartCell) -> list[Cell]:
    """The interval on a line from 0 to 100 %, the score a dot in it."""
    if cell.share is None or cell.low is None or cell.high is None:
        return [(" " * _BAR_WIDTH, "")]
    last = _BAR_WIDTH - 1
    first, middle, end = (round(value * last) for value in (cell.low, cell.share, cell.high))
    line = ["━"] * (end - first + 1)
    if cell.band:  # of the seeds, inside of the interval or beyond it
        worst, best = (min(max(round(value * last), first), end) for value in cell.band)
        line[worst - first : best - first + 1] = "▓" * (best - worst + 1)
    line[middle - first] = "●"
    span = "".join(line)
    return [("┈" * first, "muted"), (span, "accent"), ("┈" * (last - end), "muted")]


def _has_bar(width: int) -> bool:
    return width >= _FIXED + _BAR_WIDTH + 26


def _name_width(width: int) -> int:
    return max(min(width - _FIXED - (_BAR_WIDTH + 2 if _has_bar(width) else 0), _WIDEST_NAME), 14)


def cases_line(cases: Sequence[tuple[int, str]]) -> list[list[Cell]]:
    """What enter would show; nothing where no example is shared."""
    if not any(count for count, _ in cases):
        return []
    told = "   ".join(f"{count} {name}" for count, name in cases)
    return [[], [("enter shows the examples:  ", "accent"), (told, "")]]
