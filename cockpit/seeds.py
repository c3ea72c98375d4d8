"""Models that differ in nothing but their seed, as one row: their mean, how far the seeds lie apart, one verdict.

What is said of a row is about the method and not about one of its models: seeds and questions are both drawn at random
(`engines.statistics.crossed`). A baseline of several seeds is paired seed by seed; a single model with each of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from cockpit.comparison import Comparison, Entry, Verdict, adjusted, by_question
from cockpit.parts import Cells, Column, PartCell, columns_of, domains_of
from cockpit.report.evaluations import method_and_cell
from engines.statistics.crossed import mean_over
from engines.statistics.macro import macro_difference, macro_mean, macro_weights
from store.results import Score

Means = Mapping[tuple[int, str], Mapping[str, float]]
"""By the job of an evaluation and the grader: how often each question was answered right."""


@dataclass(frozen=True)
class Group:
    """The evaluations of one method, by seed in the order of the table; the first of them stands for all."""

    entry: Entry
    members: Mapping[str, Entry]


def groups_of(table: Comparison) -> list[Group]:
    """Entries of one experiment whose names differ in the seed alone belong together."""
    found: dict[tuple[int, str], dict[str, Entry]] = {}
    for entry in table.entries:
        method, cell = method_and_cell(entry.job.name)
        rest = ",".join(f"{key}={value}" for key, value in cell.items() if key != "seed")
        series = f"{method}[{rest}]" if rest else method
        seed = cell.get("seed", "")
        # Without a seed in its name, or with one that is taken, a model stands for itself.
        key = (entry.job.experiment_id, series if seed else entry.job.name)
        if seed in found.get(key, {}) or not seed:
            key = (entry.job.experiment_id, f"{series} #{entry.job.id}")
        found.setdefault(key, {})[seed] = entry
    return [_group(series, members) for (_, series), members in found.items()]


def _group(series: str, members: dict[str, Entry]) -> Group:
    first = next(iter(members.values()))
    if len(members) == 1:
        return Group(first, members)
    scores: dict[str, Score] = {}
    for name, score in first.scores.items():
        found = [entry.scores[name].value for entry in members.values() if name in entry.scores]
        known = [value for value in found if value is not None]
        if len(known) == len(members):
            # Intervals of single models are not those of their mean; the protocol is one for all.
            kept = {key: told for key, told in score.fields.items() if key == "protocol"}
            scores[name] = Score(score.job_id, name, fmean(known), kept)
    return Group(replace(first, label=f"{series} × {len(members)} seeds", scores=scores), members)


def folded(table: Comparison, single: Cells) -> tuple[Comparison, Cells] | None:
    """The table with a row for each method and its cells; None where no two models differ in their seed alone.

    `single` are the cells of the models by themselves.
    """
    groups = groups_of(table)
    if len(groups) == len(table.entries):
        return None
    base = next(group for group in groups if table.baseline in group.members.values())
    others = [group for group in groups if group is not base]
    cells: dict[tuple[int, Column], PartCell] = {}
    verdicts: list[Verdict] = []
    columns = columns_of(table)
    means = {
        (entry.job.id, grader): {question: fmean(of) for question, of in by_question(entry, grader).items()}
        for entry in table.entries
        for grader in dict.fromkeys(column.grader for column in columns)
    }
    for kind, grader in dict.fromkeys((column.kind, column.grader) for column in columns):
        family = [column for column in columns if (column.kind, column.grader) == (kind, grader)]
        places = [(group, column) for group in others for column in family]
        judged = adjusted([_judge(table, means, base, group, column) for group, column in places])
        for (group, column), verdict in zip(places, judged, strict=True):
            cells[group.entry.job.id, column] = _cell(table, means, single, group, column, verdict)
        for column in family:
            cells[base.entry.job.id, column] = _cell(table, means, single, base, column, None)
        verdicts += judged if kind == "whole" else []
    entries = tuple(group.entry for group in groups)
    return Comparison(entries, base.entry, tuple(verdicts)), cells


def _judge(table: Comparison, means: Means, base: Group, group: Group, column: Column) -> Verdict:
    pairs, refused = _pairs(base, group)
    for entry in (entry for pair in pairs for entry in pair):
        whole = table.verdict(entry, column.grader)
        refused = refused or (whole.refused if whole else "")
    if refused:
        return Verdict(group.entry, column.grader, refused=refused)
    sides = [[_shares(table, means, entry, column) for entry in side] for side in zip(*pairs, strict=True)]
    asked = set().union(*(shares for side in sides for shares in side))
    common = sorted(asked.intersection(*(shares for side in sides for shares in side)))
    if not common:
        return Verdict(group.entry, column.grader, refused="no question here was graded for all")
    first, second = ([[shares[question] for question in common] for shares in side] for side in sides)
    found = macro_difference(first, second, _weights(table, common, column))
    gaps = [
        fmean(b) - fmean(a) for a, b in zip(zip(*first, strict=True), zip(*second, strict=True), strict=True)
    ]
    return Verdict(
        group.entry,
        column.grader,
        n=found.n,
        only_baseline=found.losses,
        only_entry=found.wins,
        difference=found.value,
        low=found.low,
        high=found.high,
        spread=fmean(gap**2 for gap in gaps),
        p=found.p,
        left_out=len(asked) - len(common),
        seeds=found.seeds,
        resolvable=found.resolvable if found.seeds > 1 else None,
    )


def _pairs(base: Group, group: Group) -> tuple[list[tuple[Entry, Entry]], str]:
    """Who is held against whom, and why not, where that cannot be."""
    if len(base.members) == 1:
        return [(base.entry, entry) for entry in group.members.values()], ""
    if len(group.members) == 1:
        return [(entry, group.entry) for entry in base.members.values()], ""
    seeds = [seed for seed in group.members if seed in base.members]
    if not seeds:
        return [], "the two have no seed in common"
    return [(base.members[seed], group.members[seed]) for seed in seeds], ""


def _cell(
    table: Comparison, means: Means, single: Cells, group: Group, column: Column, verdict: Verdict | None
) -> PartCell:
    """Mean over seeds with its interval over seeds and questions; the band from the worst seed to the best."""
    if len(group.members) == 1:
        return replace(single[group.entry.job.id, column], verdict=verdict)
    rows = [_shares(table, means, entry, column) for entry in group.members.values()]
    common = sorted(set(rows[0]).intersection(*rows))
    if not common:
        return PartCell(None, verdict=verdict)
    weights = _weights(table, common, column)
    shares = [[row[question] for question in common] for row in rows]
    by_seed = [macro_mean(of, weights) for of in shares]
    low = high = None
    if column.kind != "domain":
        samples = max(
            len(of) for entry in group.members.values() for of in by_question(entry, column.grader).values()
        )
        interval = mean_over(shares, samples)
        low, high = interval.low, interval.high
    return PartCell(fmean(by_seed), low, high, verdict, (min(by_seed), max(by_seed)), len(by_seed))


def _shares(table: Comparison, means: Means, entry: Entry, column: Column) -> dict[str, float]:
    domains = domains_of(table)
    found = means[entry.job.id, column.grader]
    return {question: share for question, share in found.items() if column.has(question, domains)}


def _weights(table: Comparison, questions: Sequence[str], column: Column) -> list[float]:
    tasks = [question.partition("/")[0] for question in questions]
    return macro_weights(tasks, domains_of(table)) if column.kind == "domain" else [1.0] * len(tasks)
