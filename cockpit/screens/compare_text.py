"""A comparison in words and columns."""

import re

from cockpit.comparison import Comparison, Entry, Verdict
from cockpit.figures import figure, percent
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell, fit, fit_middle
from store.results import Score

_FIXED = 60
"""Cells that every column but the model's name takes at the narrowest."""

_BAR_WIDTH = 34
_WIDEST_NAME = 48
_VERDICT_WIDTH = 18
_METRICS = ("strict", "robust", "answered", "thinking", "truncated", "mean_tokens")
_METRIC_WIDTH = 12
_OF_ROUND = re.compile(r"r\d+/")


def header(table: Comparison, grader: str, width: int) -> list[Cell]:
    name = _name_width(width)
    cells: list[Cell] = [
        (fit("", 2) + fit("model", name), "muted"),
        (fit(grader, 8, right=True) + fit("  95 %", 15), "muted"),
    ]
    if _has_bar(width):
        cells.append((fit("0", _BAR_WIDTH // 2) + fit("100 %", _BAR_WIDTH // 2, right=True) + "  ", "muted"))
    cells.append((fit("difference", 11, right=True) + fit("p (Holm)", 10, right=True), "muted"))
    cells.append((fit("  verdict", _VERDICT_WIDTH), "muted"))
    return [*cells, *((fit(name, _METRIC_WIDTH, right=True), "muted") for name in _extra(grader, width))]


def row(table: Comparison, entry: Entry, grader: str, width: int) -> list[Cell]:
    """One model: its score with interval, and the verdict against the baseline."""
    score = entry.scores.get(grader)
    is_baseline = entry is table.baseline
    mark, paint = ("◆ ", "accent") if is_baseline else ("  ", "")
    name = fit_middle(plain_line(entry.label, 200), _name_width(width) - 1) + " "
    low, high = _interval(score)
    interval = f"  {100 * low:4.1f} – {100 * high:4.1f}" if low is not None and high is not None else ""
    cells: list[Cell] = [
        (mark, "accent"),
        (name, paint),
        (fit(percent(score.value if score else None), 8, right=True), "strong"),
        (fit(interval, 15), "muted"),
    ]
    if _has_bar(width):
        cells += [*_bar(score), ("  ", "")]
    verdict = table.verdict(entry, grader)
    cells += _verdict_cells(verdict) if verdict else [(fit("   baseline", 21 + _VERDICT_WIDTH), "accent")]
    extra = (_metric(entry.scores.get(name)) for name in _extra(grader, width))
    return [*cells, *((fit(text, _METRIC_WIDTH, right=True), "") for text in extra)]


def sentence(table: Comparison, entry: Entry, grader: str) -> list[list[Cell]]:
    """What may be claimed about a model, in full."""
    label, base = plain_line(entry.label, 100), plain_line(table.baseline.label, 100)
    verdict = table.verdict(entry, grader)
    if verdict is None:
        return [
            [(f"{label} is the baseline. Move to another model and press enter for the examples.", "muted")]
        ]
    if verdict.refused:
        return [[("Not comparable: ", "attention"), (plain_line(verdict.refused, 300), "")]]
    claims = {
        "better": (f"{label} is better than {base}", "good"),
        "worse": (f"{label} is worse than {base}", "bad"),
    }
    claim = claims.get(verdict.text, (f"No difference shown between {label} and {base}", "attention"))
    points = (
        f"{100 * verdict.difference:+.1f} points, 95 % {100 * verdict.low:+.1f} to {100 * verdict.high:+.1f}"
    )
    others = sum(one.grader == grader and not one.refused for one in table.verdicts)
    return [
        [claim, (f" ({grader}): {points}.", "")],
        [
            (
                f"Of {verdict.n} questions, {verdict.only_entry} only it got right, {verdict.only_baseline} only the"
                f" baseline. Paired test: p = {p_value(verdict.p)}, {p_value(verdict.p_adjusted)}"
                f" adjusted for {others} comparison{'s' if others != 1 else ''}.",
                "muted",
            )
        ],
    ]


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
        return [(fit("", 21), ""), (fit("  ? not comparable", _VERDICT_WIDTH), "attention")]
    word, paint = {"better": ("▲ better", "good"), "worse": ("▼ worse", "bad")}.get(
        verdict.text, ("≈ not shown", "attention")
    )
    difference = fit(f"{100 * verdict.difference:+.1f}", 11, right=True)
    p = fit(p_value(verdict.p_adjusted), 10, right=True)
    return [(difference, ""), (p, ""), (fit(f"  {word}", _VERDICT_WIDTH), paint)]


def _interval(score: Score | None) -> tuple[float | None, float | None]:
    return (score.fields.get("low"), score.fields.get("high")) if score else (None, None)


def _bar(score: Score | None) -> list[Cell]:
    """The interval on a line from 0 to 100 %, the score a dot in it."""
    low, high = _interval(score)
    if score is None or score.value is None or low is None or high is None:
        return [(" " * _BAR_WIDTH, "")]
    last = _BAR_WIDTH - 1
    first, middle, end = (round(value * last) for value in (low, score.value, high))
    span = "━" * (middle - first) + "●" + "━" * (end - middle)
    return [("┈" * first, "muted"), (span, "accent"), ("┈" * (last - end), "muted")]


def _has_bar(width: int) -> bool:
    return width >= _FIXED + _BAR_WIDTH + 26


def _name_width(width: int) -> int:
    return max(min(width - _FIXED - (_BAR_WIDTH + 2 if _has_bar(width) else 0), _WIDEST_NAME), 14)
