"""The studies of a search in lines: how far they are, and the best of each so far."""

from cockpit.plain_text import plain_line
from cockpit.studies import Study
from cockpit.widgets.cells import Cell
from cockpit.widgets.text_view import HANG

_NAME_WIDTH = 30
_MEANING = {"null": "means nothing", "rival": "another account"}


def study_lines(studies: list[Study]) -> list[list[Cell]]:
    """A line a study: how many of its trials are finished, pruned and running, and the best gain so far."""
    if not studies:
        return []
    names = [plain_line(one.name, _NAME_WIDTH) for one in studies]
    width = max(map(len, names))
    lines: list[list[Cell]] = [
        [("Studies", "strong"), ("  best gain so far on the questions of the search, as selected", "muted")],
        [(f"  {'':<{width}}  {'finished':>9} {'pruned':>7} {'running':>8} {'best':>7}", "muted")],
    ]
    for name, one in zip(names, studies, strict=True):
        best = "" if one.best_gain is None else f"{100 * one.best_gain:+.1f}%"
        counts = f"{f'{one.finished}/{one.trials}':>9} {one.pruned:>7} {one.running:>8} "
        where = ", ".join(f"{plain_line(key, 12)} {value:.3g}" for key, value in one.best_params.items())
        meaning = _MEANING.get(one.role, "")
        tail = "  ".join(part for part in (where, meaning) if part)
        lines.append(
            [
                (f"  {name:<{width}}  ", "accent"),
                HANG,
                (counts, ""),
                (f"{best:>7}", "good" if one.role == "tested" and (one.best_gain or 0) > 0 else ""),
                (f"  {tail}", "muted"),
            ]
        )
    return [*lines, []]
