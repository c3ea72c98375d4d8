"""What may be said of a suite's comparison in words: only what a significant effect supports."""

from cockpit.comparison import SIGNIFICANT
from cockpit.report.suite import SuiteReport, smallest_shown
from engines.statistics.crossed import Difference


def recommendations(report: SuiteReport) -> list[str]:
    """Only what a significant effect supports, with its number; else that nothing is, and what would have shown."""
    lines = [
        f"{e.arm} {'raises' if e.difference.value > 0 else 'lowers'} {e.what} by {100 * e.difference.value:+.1f} pp "
        f"against {e.baseline} (95 % {100 * e.difference.low:+.1f} to {100 * e.difference.high:+.1f}, p {_p(e.p_adjusted)})."
        + (
            ""
            if e.difference.seeds > 1
            else " One seed each: this is about these two checkpoints, not the methods."
        )
        for e in [*report.primary, *report.by_domain]
        if e.significant
    ]
    quiet = [e for e in report.primary if not e.significant]
    lines += [
        f"{e.arm} against {e.baseline}: no recommendation: underpowered ({smallest_shown(e.difference)}; "
        f"seen {100 * e.difference.value:+.1f} pp, p {_p(e.p_adjusted)}).{_of_these(e.difference)}"
        for e in quiet
    ]
    return lines


def _of_these(found: Difference) -> str:
    """Few seeds say little about a method, and may still say much about the models that they gave."""
    if found.of_these is None or found.of_these[2] >= SIGNIFICANT:
        return ""
    low, high, p = found.of_these
    return (
        f" The models of these {found.seeds} seeds do differ ({100 * low:+.1f} to {100 * high:+.1f} pp over questions "
        f"alone, p {_p(p)}); those of other seeds may not."
    )


def _p(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"= {p:.4f}"
