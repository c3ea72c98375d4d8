"""What a job's curves say is wrong, in words: a line under the head, and all of it among the results."""

from collections.abc import Sequence

from cockpit.health import GLYPHS, Severity, Verdict
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell

_COLOURS = {
    Severity.NOTE: "$foreground 60%",
    Severity.ATTENTION: "bold $warning",
    Severity.BAD: "bold $error",
}
_PAINTS = {Severity.NOTE: "muted", Severity.ATTENTION: "attention", Severity.BAD: "bad"}


def worst_line(found: Sequence[Verdict]) -> list[tuple[str, str]]:
    """The worst verdict, and how many there are beside it; nothing where all is well."""
    if not found:
        return []
    worst = found[0]
    more = f"   (+{len(found) - 1} in Results)" if len(found) > 1 else ""
    return [(f"\n{GLYPHS[worst.severity]} {plain_line(worst.words, 300)}{more}", _COLOURS[worst.severity])]


def health_lines(found: Sequence[Verdict]) -> list[list[Cell]]:
    """One line a verdict."""
    if not found:
        return []
    lines: list[list[Cell]] = [[("Health", "strong"), ("  from the curves so far", "muted")]]
    lines += [[(f"  {GLYPHS[v.severity]} {plain_line(v.words, 400)}", _PAINTS[v.severity])] for v in found]
    return [*lines, []]
