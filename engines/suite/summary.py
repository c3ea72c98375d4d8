"""From graded answers to the scores of a suite: by task, by domain, and in both published conventions of a mean.

Questions are the unit, and those of one cluster are no independent evidence. Answers that the grader could not grade
are left out and counted apart.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from engines.statistics.intervals import wilson, wilson_clustered
from engines.statistics.pass_at_k import pass_at_k, powers_of_two
from engines.suite.rows import SuiteRow
from engines.tasks.summary import Score

_LIVEBENCH = "livebench"


def summarize_suite(rows: Sequence[SuiteRow], *, livebench_as_one: bool = False) -> list[Score]:
    """All scores. `strict` and `robust` are shares of all questions, as a paired comparison counts them; `mean_tasks` and
    `mean_domains` are the means that the literature prints, of the strict shares."""
    if not rows:
        raise ValueError("there is nothing to summarize")
    by_task = _grouped(rows, "task")
    of_task = {name: _share(group, "strict") for name, group in by_task.items()}
    of_domain = {
        name: fmean(of_task[task].value for task in dict.fromkeys(row.task for row in group))
        for name, group in _grouped(rows, "domain").items()
    }
    scores = [
        _named("strict", _share(rows, "strict")),
        _named("robust", _share(rows, "robust")),
        Score("mean_tasks", fmean(_units(of_task, livebench_as_one))),
        Score("mean_domains", fmean(of_domain.values())),
        *_health("", rows),
    ]
    scores += [Score(f"domain.{name}", value) for name, value in of_domain.items()]
    for name, group in by_task.items():
        scores += [
            _named(f"{name}.strict", of_task[name]),
            _named(f"{name}.robust", _share(group, "robust")),
            *_partial(name, group),
            *_sampled(name, group),
            *_health(f"{name}.", group),
        ]
    return scores


def _units(of_task: dict[str, Score], livebench_as_one: bool) -> list[float]:
    parts = [score.value for name, score in of_task.items() if name.startswith(_LIVEBENCH)]
    if not livebench_as_one or not parts:
        return [score.value for score in of_task.values()]
    return [s.value for name, s in of_task.items() if not name.startswith(_LIVEBENCH)] + [fmean(parts)]


def _grouped(rows: Iterable[SuiteRow], field: str) -> dict[str, list[SuiteRow]]:
    groups: dict[str, list[SuiteRow]] = {}
    for row in rows:
        groups.setdefault(getattr(row, field), []).append(row)
    return groups


def _share(rows: Sequence[SuiteRow], field: str) -> Score:
    """A mean over questions, with an interval over clusters. Without a graded answer it is 0 of 0, from 0 to 1."""
    questions = list(_grouped([row for row in rows if row.outcome != "error"], "example_id").values())
    shares = [fmean(float(getattr(row, field)) for row in group) for group in questions]
    if not shares:
        return Score("", 0.0, {"n": 0, "low": 0.0, "high": 1.0})
    low, high = clustered_interval(
        shares, [group[0].cluster for group in questions], max(map(len, questions))
    )
    return Score("", fmean(shares), {"n": len(shares), "low": low, "high": high})


def clustered_interval(
    shares: Sequence[float], clusters: Sequence[str], samples: int = 1
) -> tuple[float, float]:
    """Wilson's interval for the mean of shares, for as many independent answers as the clusters make them worth.

    The variance of the mean is that of clusters drawn at random (Liang and Zeger 1986), at least that of questions.
    """
    n, mean = len(shares), fmean(shares)
    if len(set(clusters)) == n:
        if all(share in (0.0, 1.0) for share in shares):
            return wilson(round(mean * n), n)
        return wilson_clustered(shares, samples)
    sums: dict[str, float] = {}
    for share, cluster in zip(shares, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + share - mean
    # One cluster has no spread of its own; a mean of 0 or 1 has none either: then each cluster is one answer.
    count = len(sums)
    squares = math.fsum(value * value for value in sums.values())
    if count == 1 or not squares:
        return wilson(mean * count, count)
    worth = mean * (1 - mean) * n * n * (count - 1) / (count * squares)
    worth = min(worth, float(n * samples))
    return wilson(mean * worth, worth)


def _named(name: str, score: Score) -> Score:
    return Score(name, score.value, score.fields)


def _partial(name: str, rows: Sequence[SuiteRow]) -> list[Score]:
    """The mean of partial credit, where a task gives any."""
    if all(row.score in (0.0, 1.0) and (row.score == 1.0) == row.strict for row in rows):
        return []
    return [_named(f"{name}.score", _share(rows, "score"))]


def _sampled(name: str, rows: Sequence[SuiteRow]) -> list[Score]:
    """pass@k for tasks with several answers to a question, by the unbiased estimator (Chen et al. 2021)."""
    questions = list(_grouped([row for row in rows if row.outcome != "error"], "example_id").values())
    fewest = min((len(group) for group in questions), default=1)
    scores = []
    for k in powers_of_two(fewest) if fewest > 1 else []:
        passed = [pass_at_k(len(group), sum(row.strict for row in group), k) for group in questions]
        low, high = clustered_interval(passed, [group[0].cluster for group in questions], fewest)
        scores.append(
            Score(f"{name}.pass@{k}", fmean(passed), {"n": len(questions), "low": low, "high": high})
        )
    return scores


def _health(prefix: str, rows: Sequence[SuiteRow]) -> list[Score]:
    """What says whether the grades can be trusted: shares of all answers."""
    return [
        Score(f"{prefix}no_answer", fmean(row.outcome == "no_answer" for row in rows)),
        Score(f"{prefix}too_long", fmean(row.method == "too_long" for row in rows)),
        Score(f"{prefix}grader_errors", fmean(row.outcome == "error" for row in rows)),
        Score(f"{prefix}format", fmean(row.in_format for row in rows)),
        Score(f"{prefix}truncated", fmean(not row.terminated for row in rows)),
        Score(f"{prefix}mean_tokens", fmean(row.tokens for row in rows)),
    ]
