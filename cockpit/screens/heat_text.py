"""A heat map in words and shades: layers down, strengths across."""

from cockpit.heat_maps import HeatMap
from cockpit.plain_text import plain_line
from cockpit.widgets.cells import Cell

_SHADES = " ░▒▓█"
_LABEL = 6
_WIDTH = 7
"""Columns of a cell: a figure, its mark and its shade."""


def heat_lines(maps: list[HeatMap]) -> list[list[Cell]]:
    """The maps below each other, in thousandths of a nat a token; a wide one goes on below itself."""
    lines: list[list[Cell]] = []
    for one in maps:
        what = "right texts against wrong ones" if one.of_margin else "gold solutions"
        lines.append([(f"Heat map: {plain_line(one.direction, 30)}", "strong"), (f"  {what}", "muted")])
        lines += _map_lines(one)
        lines.append(
            [("  thousandths of a nat a token; + is better; * significant over the whole map", "muted")]
        )
        lines.append([])
    return lines


def _map_lines(one: HeatMap, columns: int = 10) -> list[list[Cell]]:
    lines: list[list[Cell]] = []
    for start in range(0, len(one.alphas), columns):
        alphas = one.alphas[start : start + columns]
        header = "".join(f"{alpha:>{_WIDTH - 2}g}  " for alpha in alphas)
        lines.append([(f"{'layer':>{_LABEL}}", "muted"), (header, "muted")])
        for layer in one.layers:
            cells: list[Cell] = [(f"{layer:>{_LABEL}}", "accent")]
            cells += [_cell(one, layer, alpha) for alpha in alphas]
            lines.append(cells)
    return lines


def _cell(one: HeatMap, layer: int, alpha: float) -> Cell:
    value = one.values.get((layer, alpha))
    if value is None:
        return " " * _WIDTH, ""
    share = abs(value) / one.largest if one.largest else 0.0
    shade = _SHADES[min(round(share * (len(_SHADES) - 1)), len(_SHADES) - 1)]
    mark = "*" if (layer, alpha) in one.significant else " "
    figure = f"{1000 * value:+.0f}" if abs(value) < 0.9995 else f"{value:+.0f}k"
    return f"{figure:>{_WIDTH - 2}}{mark}{shade}", "" if not value else "good" if value > 0 else "bad"
