"""Cosines between tasks in figures and shades: who pulls where whom does."""

from collections.abc import Mapping, Sequence

from cockpit.cosine_map import CosineMap
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell

_SHADES = " ░▒▓█"
_LABEL, _WIDTH, _COLUMNS = 12, 8, 7


def cosine_lines(found: CosineMap | None) -> list[list[Cell]]:
    """The measured cosines, and below them those without the noise, in hundredths; wide maps go on below themselves."""
    if found is None:
        return []
    lines: list[list[Cell]] = [
        [("Gradients of the tasks", "strong"), (f"  cosines in hundredths, step {found.step:,}", "muted")],
        *_map_lines(found.tasks, found.cosines),
        [("  - is a conflict; of mere noise, half of all pairs are one", "muted")],
        [],
    ]
    if found.corrected:
        lines += [
            [("Without the noise", "strong"), ("  by how well each task agrees with itself", "muted")],
            *_map_lines(found.tasks, found.corrected),
            [],
        ]
    return lines


def _map_lines(tasks: Sequence[str], values: Mapping[tuple[str, str], float]) -> list[list[Cell]]:
    lines: list[list[Cell]] = []
    for start in range(0, len(tasks), _COLUMNS):
        columns = tasks[start : start + _COLUMNS]
        header = "".join(f"{plain_line(name, _WIDTH - 2)[: _WIDTH - 2]:>{_WIDTH - 1}} " for name in columns)
        lines.append([(" " * _LABEL, ""), (header, "muted")])
        for row in tasks:
            label: Cell = (f"{plain_line(row, _LABEL)[:_LABEL]:<{_LABEL}}", "accent")
            lines.append([label, *(_cell(values.get((row, column)), row == column) for column in columns)])
    return lines


def _cell(value: float | None, diagonal: bool) -> Cell:
    if value is None or diagonal:
        return f"{'·':>{_WIDTH - 1}} ", "muted"
    shade = _SHADES[min(round(abs(value) * (len(_SHADES) - 1)), len(_SHADES) - 1)]
    return f"{100 * value:>+{_WIDTH - 1}.0f}{shade}", "" if not value else "good" if value > 0 else "bad"
