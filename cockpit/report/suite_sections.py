"""The comparison of a suite's arms as titled tables and lines: what the terminal and Markdown both show."""

from collections.abc import Iterable, Sequence

from cockpit.figures import percent
from cockpit.report.points import Point
from cockpit.report.section import Section
from cockpit.report.suite import Effect, SuiteReport
from cockpit.report.suite_words import recommendations

_DYNAMICS = (
    "validation_reward_mean", "train_reward_mean", "kl", "entropy", "response_length", "explained_variance", "clip_fraction",
    "zero_advantage",
)  # fmt: skip
_GRADIENTS = ("grad/conflict_rate", "grad/conflict_mass", "pcgrad/cos_to_mean", "pcgrad/still_hurts")
_HEALTH = ("format", "truncated", "no_answer", "grader_errors", "mean_tokens")
_EFFECT = ["before", "after", "diff pp", "95 %", "p (Holm)", "win/tie/loss", "verdict"]


def suite_sections(report: SuiteReport) -> list[Section]:
    """All of it, in the order of reading."""
    return [
        *_verdict(report),
        *_differences(report),
        _effects("By domain", "domain", report.by_domain),
        *_by_task(report),
        _conventions(report),
        *_training(report),
        *_evolution(report),
        *_flips(report),
        _health(report),
        Section("Recommendations", lines=recommendations(report)),
    ]


def _verdict(report: SuiteReport) -> Iterable[Section]:
    if not report.primary:
        return
    seeds = min(effect.difference.seeds for effect in report.primary)
    note = (
        f"Held against {report.baseline.label}: the mean over domains of the strict share, paired on the same "
        f"questions{' and seeds' if seeds > 1 else ''}. MDE: the true difference that would show four times out of five."
    )
    if seeds == 1:
        note += " One seed each: a verdict is about these checkpoints, not about the methods."
    yield _effects("Verdict", "", report.primary, note)


def _differences(report: SuiteReport) -> Iterable[Section]:
    lines = [
        f"{arm}: {'; '.join(unlike) if unlike else 'the same recipe as the baseline'}"
        for arm, unlike in report.unlike.items()
    ]
    if lines:
        yield Section("What the arms differ in", lines=lines)


def _effects(title: str, what: str, effects: Sequence[Effect], note: str = "") -> Section:
    rows = [[e.arm, *([e.what] if what else []), *_cells(e)] for e in effects]
    headers = ["arm", *([what] if what else []), *_EFFECT]
    right = "l" + "l" * bool(what) + "rrrrrrl"
    return Section(title, headers, rows, right, [note] if note else [])


def _cells(effect: Effect) -> list[str]:
    found = effect.difference
    return [
        percent(effect.before),
        percent(effect.after),
        f"{100 * found.value:+.1f}",
        f"{100 * found.low:+.1f}..{100 * found.high:+.1f}",
        "< 0.0001" if effect.p_adjusted < 1e-4 else f"{effect.p_adjusted:.4f}",
        f"{found.wins}/{found.n - found.wins - found.losses}/{found.losses}",
        effect.text,
    ]


def _by_task(report: SuiteReport) -> Iterable[Section]:
    if len(report.domains) > len(
        set(report.domains.values())
    ):  # else it would say the same as that by domain
        yield _effects("By task", "task", report.by_task)


def _all(report: SuiteReport) -> list[Point]:
    return [report.baseline, *report.arms]


def _conventions(report: SuiteReport) -> Section:
    """Both ways in which papers average, as they can put models in another order."""
    names = ("mean_domains", "mean_tasks", "strict", "robust")
    rows = [
        [point.label, str(len(point.models)), *(percent(point.mean(name)) for name in names)]
        for point in [*report.references, *_all(report)]
    ]
    headers = ["arm", "seeds", "mean of domains", "mean of tasks", "all questions", "lenient"]
    note = "Lenient: right wherever the answer was found without guessing; the others only where the task asks for it."
    return Section("Averages", headers, rows, "lrrrrr", [note])


def _training(report: SuiteReport) -> Iterable[Section]:
    for title, names in (("Training, last values", _DYNAMICS), ("Gradients, last values", _GRADIENTS)):
        known = [name for name in names if any(name in report.training[p.label] for p in _all(report))]
        if known:
            rows = [
                [p.label, *(_figure(report.training[p.label].get(name)) for name in known)]
                for p in _all(report)
            ]
            yield Section(title, ["arm", *known], rows, "l" + "r" * len(known))


def _evolution(report: SuiteReport) -> Iterable[Section]:
    for job, found in report.evolution:
        rows = []
        for name, domain in found["domains"].items():
            rows.append(
                [
                    name,
                    *(percent(domain["values"][place]) for place in (0, -1)),
                    str(domain["best_epoch"]),
                    str(domain["argmax_epoch"]),
                    f"{100 * domain['regret_of_global_stop']:.1f}",
                    "yes" if domain.get("forgotten") else "no",
                    "yes" if domain.get("overfitted") else "no",
                ]
            )
        headers = ["domain", "first", "last", "best (1 SE)", "argmax", "regret pp", "forgotten", "overfitted"]
        lines = [
            f"Best epoch of all domains: {found['best_epoch']} of {', '.join(map(str, found['epochs']))}. Best: the "
            "earliest within one standard error of the largest. Regret: what a domain loses by that common stop."
        ]
        if found["claims"] is not True:
            lines.append(str(found["claims"]).capitalize() + ".")
        yield Section(f"Evolution: {job.name} (job {job.id})", headers, rows, "lrrrrrrr", lines)


def _flips(report: SuiteReport) -> Iterable[Section]:
    for arm in report.arms:
        for gained, title in ((False, "Lost by"), (True, "Gained by")):
            mine = [flip for flip in report.flips if flip.arm == arm.label and flip.gained == gained]
            if mine:
                lines = [
                    f"{f.question}: gold {_clip(f.gold)}; {report.baseline.label} {_clip(f.before)}; "
                    f"{arm.label} {_clip(f.after)}"
                    for f in mine
                ]
                lines.append("Whole answers: `tunedeck examples {} --versus {}`".format(*mine[0].jobs))
                yield Section(f"{title} {arm.label}, of those that one of the two got right", lines=lines)


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:39] + "…"


def _health(report: SuiteReport) -> Section:
    rows = [
        [p.label, *(percent(p.mean(name)) for name in _HEALTH[:-1]), _figure(p.mean(_HEALTH[-1]))]
        for p in _all(report)
    ]
    headers = ["arm", "in format", "cut off", "no answer", "grader errors", "tokens"]
    note = "Answers that a grader could not grade are left out, never counted as wrong."
    return Section("Graders and format", headers, rows, "lrrrrr", [note])


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
