"""What the numbers allow to say: paired differences between points, and how much of each is format.

Both models answered the same questions, and are compared seed by seed. A model that all seeds started from is paired
with each of them: the verdict is then about this model, not about others that might have been trained in its place.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from cockpit.comparison import GRADERS, SIGNIFICANT
from cockpit.report.evaluations import Evaluation, Experiment
from cockpit.report.points import Point, references_of
from engines.statistics.crossed import Difference, paired
from engines.statistics.intervals import holm


@dataclass(frozen=True)
class Decomposition:
    """A difference in strict accuracy, taken apart: strict = correctness + format, exactly.

    Strict accuracy is robust accuracy r times the share f of right answers that stand in the asked-for format. So
        strict_1 - strict_0 = (r_1 - r_0) (f_0 + f_1) / 2  +  (f_1 - f_0) (r_0 + r_1) / 2
    The first part is what more right answers bring at the mean share of format, the second what better format brings
    at the mean accuracy (Kitagawa's 1955 decomposition of a rate). Where a model has no right answer its f is unknown,
    and the other one's is taken: all of the difference is correctness then.
    """

    strict: float
    correctness: float
    format: float


@dataclass(frozen=True)
class Verdict:
    """One point against another, under one grader."""

    point: Point
    against: str
    grader: str
    difference: Difference | None = None
    decomposition: Decomposition | None = None
    p_adjusted: float = 1.0
    refused: str = ""
    """Why there is no verdict; empty when there is one."""
    left_out: int = 0
    """Seeds that only one of the two has."""

    @property
    def text(self) -> str:
        if self.refused or self.difference is None:
            return f"not comparable: {self.refused}"
        if self.p_adjusted < SIGNIFICANT:
            return "better" if self.difference.value > 0 else "worse"
        return "no difference shown"

    @property
    def sentence(self) -> str:
        """The verdict in words, with what could have been resolved where nothing was."""
        what = f"{self.point.label} against {self.against}, {self.grader}"
        if (found := self.difference) is None:
            return f"{what}: {self.text}."
        seeds = f"{found.seeds} seed{'s' * (found.seeds > 1)}"
        interval = f"{100 * found.value:+.1f} pp, 95 % {100 * found.low:+.1f} to {100 * found.high:+.1f}"
        said = f"{what}: {self.text} ({interval}; {seeds}, {found.n} questions)."
        if self.p_adjusted < SIGNIFICANT:
            return said
        if found.p < SIGNIFICANT:
            return f"{said} It would count by itself (p = {found.p:.3f}), but not among so many."
        said += f" A true difference of {100 * found.resolvable:.1f} pp would show four times out of five."
        if found.of_these is None or found.of_these[2] >= SIGNIFICANT:
            return said
        low, high, p = found.of_these
        return (
            f"{said} The models of these {found.seeds} seeds do differ (95 % {100 * low:+.1f} to {100 * high:+.1f} "
            f"over questions alone, p {_as_text(p)} by itself); those of other seeds may not."
        )


def _as_text(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"= {p:.4f}"


def decompose(before: tuple[float, float], after: tuple[float, float]) -> Decomposition:
    """From (strict, robust) accuracy of two models; `Decomposition` says how."""
    (strict_0, robust_0), (strict_1, robust_1) = before, after
    format_1 = strict_1 / robust_1 if robust_1 else None
    format_0 = strict_0 / robust_0 if robust_0 else format_1
    format_0, format_1 = format_0 or 0.0, (format_0 if format_1 is None else format_1) or 0.0
    correctness = (robust_1 - robust_0) * (format_0 + format_1) / 2
    return Decomposition(strict_1 - strict_0, correctness, (format_1 - format_0) * (robust_0 + robust_1) / 2)


def against_references(experiment: Experiment, points: Iterable[Point]) -> list[Verdict]:
    """Every trained model against the one that it was trained from."""
    verdicts = []
    for point in points:
        references = references_of(experiment, point)
        if not references:
            continue
        names = dict.fromkeys(_name(e, points) for e in references.values())
        verdicts += _judged(point, " and ".join(names), references)
    return _adjusted(verdicts)


def between_methods(points: Iterable[Point], mapped: Collection[str] = ()) -> list[Verdict]:
    """Every two methods at every budget that both have.

    Two cells of a method that is `mapped`, a matrix over two fields, are not compared: the heat map shows them, and so
    many tests would leave none of the others standing.
    """
    budgets: dict[float, list[Point]] = {}
    for point in points:
        if point.samples is not None and not point.is_reference:
            budgets.setdefault(point.samples, []).append(point)
    verdicts = []
    for _, rivals in sorted(budgets.items()):
        for index, point in enumerate(rivals):
            for other in rivals[:index]:
                if point.method == other.method and point.method in mapped:
                    continue
                verdicts += _judged(point, other.label, other.models)
    return _adjusted(verdicts)


def _judged(point: Point, against: str, others: dict[int, Evaluation]) -> list[Verdict]:
    seeds = sorted(point.models.keys() & others.keys())
    left_out = len(point.models.keys() | others.keys()) - len(seeds)
    if not seeds:
        return [Verdict(point, against, grader, refused="they have no seed in common") for grader in GRADERS]
    mine, theirs = [point.models[seed] for seed in seeds], [others[seed] for seed in seeds]
    means = [
        tuple(sum(map(sum, (e.shares[grader] for e in side))) / (len(seeds) * point.n) for grader in GRADERS)
        for side in (theirs, mine)
    ]
    parts = decompose((means[0][0], means[0][1]), (means[1][0], means[1][1]))
    return [
        Verdict(
            point,
            against,
            grader,
            difference=paired([e.shares[grader] for e in theirs], [e.shares[grader] for e in mine]),
            decomposition=parts,
            left_out=left_out,
        )
        for grader in GRADERS
    ]


def _name(evaluation: Evaluation, points: Iterable[Point]) -> str:
    return next(p.label for p in points if any(e is evaluation for e in p.models.values()))


def _adjusted(verdicts: list[Verdict]) -> list[Verdict]:
    """Holm's method over one table: the verdicts of one kind under one grader. In the order of graders."""
    result = []
    for grader in GRADERS:
        table = [v for v in verdicts if v.grader == grader]
        adjusted = iter(holm([v.difference.p for v in table if v.difference]))
        result += [replace(v, p_adjusted=next(adjusted)) if v.difference else v for v in table]
    return result
