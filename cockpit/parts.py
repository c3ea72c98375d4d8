"""The cells of a comparison: every model under each grader, on the whole and by domain and task of a suite.

Whoever answered comparably on the whole is compared part by part. The domains of one table are a family of tests of their
own, and so are its tasks: each is adjusted by Holm's method. A domain counts its tasks alike, as the report does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from cockpit.comparison import GRADERS, Comparison, Entry, Verdict, adjusted, by_question
from engines.statistics.macro import macro_difference, macro_mean, macro_weights

Kind = Literal["whole", "domain", "task"]


@dataclass(frozen=True)
class Column:
    """What a column of cells is about: a grader, and the questions of a part."""

    grader: str
    kind: Kind = "whole"
    part: str = ""

    @property
    def label(self) -> str:
        return self.part or self.grader

    def has(self, question: str, domains: Mapping[str, str]) -> bool:
        task = question.partition("/")[0]
        return self.kind == "whole" or self.part == (task if self.kind == "task" else domains.get(task))


@dataclass(frozen=True)
class PartCell:
    """A model in one column: its accuracy with interval, where there is one, and the verdict on it."""

    share: float | None
    low: float | None = None
    high: float | None = None
    verdict: Verdict | None = None
    """None for the baseline."""
    band: tuple[float, float] | None = None
    """The worst and the best of several seeds."""
    seeds: int = 1


Cells = Mapping[tuple[int, Column], PartCell]
"""By the job of the evaluation."""


def domains_of(table: Comparison) -> dict[str, str]:
    """The domain of every task, as the baseline's evaluation says it; empty where it is no suite."""
    told = table.baseline.protocol.get("domains")
    return {str(task): str(domain) for task, domain in told.items()} if isinstance(told, dict) else {}


def columns_of(table: Comparison) -> list[Column]:
    """For each grader the whole, then the domains and the tasks of a suite."""
    domains = domains_of(table)
    found: list[Column] = []
    for grader in GRADERS:
        asked = {question.partition("/")[0] for question, _sample in table.baseline.outcomes[grader]}
        tasks = [task for task in domains if task in asked]
        names = dict.fromkeys(domains[task] for task in tasks)
        found += [Column(grader), *(Column(grader, "domain", name) for name in names)]
        found += [Column(grader, "task", task) for task in tasks]
    return found


def cells_of(table: Comparison) -> dict[tuple[int, Column], PartCell]:
    """Every cell of the table, under both graders."""
    found: dict[tuple[int, Column], PartCell] = {}
    for grader in GRADERS:
        columns = [column for column in columns_of(table) if column.grader == grader]
        for entry in table.entries:
            score = entry.scores.get(grader)
            fields = score.fields if score else {}
            found[entry.job.id, columns[0]] = PartCell(
                score.value if score else None,
                fields.get("low"),
                fields.get("high"),
                table.verdict(entry, grader),
            )
        for kind in ("domain", "task"):
            found |= _of_kind(table, grader, [column for column in columns if column.kind == kind])
    return found


def _of_kind(table: Comparison, grader: str, columns: Sequence[Column]) -> dict[tuple[int, Column], PartCell]:
    domains = domains_of(table)
    shares = {entry.job.id: by_question(entry, grader) for entry in table.entries}
    means = {job: {q: fmean(of) for q, of in found.items()} for job, found in shares.items()}
    places: list[tuple[int, Column]] = []
    judged: list[Verdict] = []
    for entry in table.entries:
        whole = table.verdict(entry, grader)
        for column in columns if whole else ():
            assert whole is not None
            places.append((entry.job.id, column))
            judged.append(_judge(means[table.baseline.job.id], means[entry.job.id], whole, column, domains))
    verdicts = dict(zip(places, adjusted(judged), strict=True))
    return {
        (entry.job.id, column): _cell(
            entry, means[entry.job.id], column, domains, verdicts.get((entry.job.id, column))
        )
        for entry in table.entries
        for column in columns
    }


def _judge(
    ours: Mapping[str, float],
    theirs: Mapping[str, float],
    whole: Verdict,
    column: Column,
    domains: Mapping[str, str],
) -> Verdict:
    if whole.refused:
        return whole
    asked = sorted(question for question in ours.keys() | theirs.keys() if column.has(question, domains))
    common = [question for question in asked if question in ours and question in theirs]
    if not common:
        return Verdict(whole.entry, whole.grader, refused="no question here was graded for both")
    weights = _weights(common, column, domains)
    first, second = [ours[question] for question in common], [theirs[question] for question in common]
    found = macro_difference([first], [second], weights)
    squares = [((b - a) * w) ** 2 for a, b, w in zip(first, second, weights, strict=True)]
    return replace(
        Verdict(whole.entry, whole.grader, found.n, found.losses, found.wins, found.value),
        low=found.low,
        high=found.high,
        spread=fmean(squares),
        p=found.p,
        left_out=len(asked) - len(common),
    )


def _cell(
    entry: Entry,
    means: Mapping[str, float],
    column: Column,
    domains: Mapping[str, str],
    verdict: Verdict | None,
) -> PartCell:
    """The mean over the model's own questions; the interval where its evaluation reported one."""
    mine = [question for question in means if column.has(question, domains)]
    if not mine:
        return PartCell(None, verdict=verdict)
    share = macro_mean([means[question] for question in mine], _weights(mine, column, domains))
    score = entry.scores.get(f"{column.part}.{column.grader}")
    fields = score.fields if score and column.kind == "task" else {}
    return PartCell(share, fields.get("low"), fields.get("high"), verdict)


def _weights(questions: Sequence[str], column: Column, domains: Mapping[str, str]) -> list[float]:
    tasks = [question.partition("/")[0] for question in questions]
    return macro_weights(tasks, domains) if column.kind == "domain" else [1.0] * len(tasks)
