"""A report as titled tables and lines of text: what the terminal and Markdown both show."""

from collections.abc import Iterable

from cockpit.comparison import GRADERS
from cockpit.figures import figure, number, percent, span
from cockpit.report.contents import Report
from cockpit.report.grid import Grid, best, heat_rows, short
from cockpit.report.rounds import Round, Rounds
from cockpit.report.section import Section
from cockpit.report.suite_sections import suite_sections
from cockpit.report.verdicts import Verdict
from engines.statistics.crossed import Mean
from store.jobs import Job

MOST_SENTENCES = 12
_TRAINED_ON = ("yield", "rows", "distinct", "distinct_right")


def sections(report: Report) -> list[Section]:
    """All of a report but its plots, in the order of reading."""
    return [
        *(suite_sections(report.suite) if report.suite else []),
        *_accuracy(report),
        *[section for grid in report.grids for section in _grid(grid)],
        *_against_references(report),
        *_between_methods(report),
        *_in_words(report),
        *_decomposition(report),
        *_compute(report),
        *[section for found in report.rounds for section in _rounds(found)],
        *[_traces(job, figures) for job, figures in report.traces],
        *([Section("Missing", lines=report.notes)] if report.notes else []),
    ]


def _accuracy(report: Report) -> Iterable[Section]:
    if not report.points:
        return
    rows = [
        [
            point.label,
            str(len(point.models)),
            *_mean(point.accuracy["strict"]),
            *_mean(point.accuracy["robust"]),
            percent(point.format_gap),
            percent(point.mean("truncated")),
        ]
        for point in report.points
    ]
    headers = ["model", "seeds", "strict", "95 %", "robust", "95 %", "format gap", "cut off"]
    n = report.points[0].n
    note = (
        f"{n} questions; intervals over seeds and questions (one seed: questions alone). strict: right, and in the "
        "asked-for format. robust: right. Format gap: right, but not in the format. Cut off: did not end by itself."
    )
    yield Section("Accuracy", headers, rows, "lrrrrrrr", [note])


def _grid(grid: Grid) -> Iterable[Section]:
    for grader in GRADERS:
        rows, columns = short(grid.row_field), short(grid.column_field)
        title = f"{grid.method}: {grader} accuracy by {rows} (down) and {columns} (across)"
        headers = [rows, *grid.columns]
        yield Section(title, headers, heat_rows(grid, grader), "r" * len(headers), [best(grid, grader)])


def _against_references(report: Report) -> Iterable[Section]:
    for grader in GRADERS:
        verdicts = [v for v in report.against_references if v.grader == grader]
        if not verdicts:
            continue
        names = list(dict.fromkeys(v.against for v in verdicts))
        if len(names) == 1:
            rows = [[v.point.label, *_verdict(v)] for v in verdicts]
            yield Section(f"Against {names[0]}: {grader}", ["model", *_VERDICT], rows, "lrrrrl")
        else:
            rows = [[v.point.label, v.against, *_verdict(v)] for v in verdicts]
            title = f"Against the model it started from: {grader}"
            yield Section(title, ["model", "against", *_VERDICT], rows, "llrrrrl")


def _between_methods(report: Report) -> Iterable[Section]:
    for grader in GRADERS:
        verdicts = [v for v in report.between_methods if v.grader == grader]
        if verdicts:
            rows = [[v.point.label, v.against, *_verdict(v)] for v in verdicts]
            title = f"Method against method at equal training samples: {grader}"
            yield Section(title, ["model", "against", *_VERDICT], rows, "llrrrrl")


_VERDICT = ["diff pp", "95 %", "p (Holm)", "MDD", "verdict"]


def _verdict(verdict: Verdict) -> list[str]:
    if (found := verdict.difference) is None:
        return ["", "", "", "", verdict.text]
    seeds = f" ({found.seeds} common seed{'s' * (found.seeds > 1)})" if verdict.left_out else ""
    return [
        f"{100 * found.value:+.1f}",
        f"{100 * found.low:+.1f}..{100 * found.high:+.1f}",
        "< 0.0001" if verdict.p_adjusted < 1e-4 else f"{verdict.p_adjusted:.4f}",
        f"{100 * found.resolvable:.1f}",
        verdict.text + seeds,
    ]


def _in_words(report: Report) -> Iterable[Section]:
    """The verdicts as sentences: between methods first, and about correctness."""
    chosen = [v for v in (*report.between_methods, *report.against_references) if v.grader == "robust"]
    if not chosen:
        return
    lines = [verdict.sentence for verdict in chosen[:MOST_SENTENCES]]
    if len(chosen) > MOST_SENTENCES:
        lines.append(f"... and {len(chosen) - MOST_SENTENCES} more in the tables above.")
    lines.append(
        "Paired on the same questions and seeds; p adjusted by Holm's method for each table. MDD: the minimal "
        "detectable difference, which these seeds and questions would show four times out of five, not adjusted."
    )
    yield Section("In words", lines=lines)


def _decomposition(report: Report) -> Iterable[Section]:
    verdicts = [
        v
        for v in (*report.against_references, *report.between_methods)
        if v.grader == "strict" and v.decomposition
    ]
    if not verdicts:
        return
    rows = [
        [v.point.label, v.against, *(f"{100 * part:+.1f}" for part in (d.strict, d.correctness, d.format))]
        for v in verdicts
        if (d := v.decomposition)
    ]
    headers = ["model", "against", "strict pp", "= correctness", "+ format"]
    note = (
        "strict = robust x share of right answers in the format. Correctness: the change of robust at the mean share; "
        "format: the change of the share at the mean of robust."
    )
    yield Section("What the differences are made of", headers, rows, "llrrr", [note])


def _compute(report: Report) -> Iterable[Section]:
    """Costs beside accuracy, for the view at equal compute."""
    points = [point for points in report.series.values() for point in points]
    if not points:
        return
    rows = [
        [
            point.label,
            number(point.costs.get("prompts", point.samples)) or "?",
            *(
                number(point.costs.get(n)) or "?"
                for n in ("completions", "generated_tokens", "trained_tokens")
            ),
            span(point.costs.get("seconds")) or "?",
            percent(point.accuracy["strict"].value),
            percent(point.accuracy["robust"].value),
        ]
        for point in points
    ]
    headers = ["model", "prompts", "completions", "generated", "trained", "time", "strict", "robust"]
    unknown = ["?: not reported by the job."] if any("?" in row for row in rows) else []
    note = (
        "Means over seeds, of training and of making its data; what the model started from is not counted. "
        "Generated, trained: tokens."
    )
    yield Section("At equal compute", headers, rows, "lrrrrrrr", [note, *unknown])


def _rounds(found: Rounds) -> Iterable[Section]:
    name = f"Rounds of {found.job.name} (job {found.job.id})"
    rows = [
        [
            str(r.number),
            *_score(r, "strict"),
            *_score(r, "robust"),
            percent(r.format_gap),
            percent(r.value("truncated")),
        ]
        for r in found.rounds
    ]
    headers = ["round", "strict", "95 %", "robust", "95 %", "format gap", "cut off"]
    yield Section(name, headers, rows, "r" * len(headers))
    by_kind = {kind: [n for n in found.sampled if n.startswith(kind)] for kind in ("avg", "pass", "maj")}
    # pass@1 and maj@1 are avg@n.
    shown = by_kind["avg"] + [n for kind in ("pass", "maj") for n in _few(by_kind[kind][1:])]
    if shown:
        rows = [[str(r.number), *(percent(r.value(n)) for n in shown)] for r in found.rounds]
        note = "By the robust grader. avg@n: mean of n samples; pass@k: one of k is right; maj@k: the majority of k is."
        yield Section(f"{name}: samples", ["round", *shown], rows, "r" * (1 + len(shown)), [note])
    judged = [
        [str(r.number), g, *_against_start(r, g)] for g in GRADERS for r in found.rounds if r.against_start(g)
    ]
    if judged:
        headers = ["round", "grader", "diff pp", "95 %", "p (Holm)", "wins", "losses", "verdict"]
        yield Section(f"{name}: against round 0", headers, judged, "rlrrrrrl")
    extra = [n for n in _TRAINED_ON if any(r.value(n) is not None for r in found.rounds)]
    if extra:
        rows = [[str(r.number), *(figure(n, r.value(n)) for n in extra)] for r in found.rounds]
        note = (
            "yield: share of questions with a kept sample. distinct: share of a question's samples that differ; "
            "distinct_right: how many of its right ones do."
        )
        yield Section(f"What {found.job.name} trained on", ["round", *extra], rows, "rrrrr", [note])


def _score(r: Round, name: str) -> list[str]:
    low, high = r.field(name, "low"), r.field(name, "high")
    interval = "" if low is None or high is None else f"{100 * low:.1f}-{100 * high:.1f}"
    return [percent(r.value(name)), interval]


def _few(names: list[str]) -> list[str]:
    """The first, the last and those between that fit a line."""
    return names if len(names) <= 3 else [names[0], names[len(names) // 2], names[-1]]


def _against_start(r: Round, grader: str) -> list[str]:
    told = r.against_start(grader)
    low, high, p = told.get("low"), told.get("high"), r.p_adjusted.get(grader)
    interval = "" if low is None or high is None else f"{100 * low:+.1f}..{100 * high:+.1f}"
    return [
        f"{100 * told['difference']:+.1f}",
        interval,
        "" if p is None else "< 0.0001" if p < 1e-4 else f"{p:.4f}",
        str(told.get("wins", "")),
        str(told.get("losses", "")),
        r.verdicts.get(grader, ""),
    ]


def _traces(job: Job, figures: dict[str, float]) -> Section:
    line = ", ".join(f"{name} {figure(name, value)}" for name, value in figures.items())
    return Section(f"Traces of {job.name} (job {job.id})", lines=[line])


def _mean(mean: Mean) -> list[str]:
    return [percent(mean.value), f"{100 * mean.low:.1f}-{100 * mean.high:.1f}"]
