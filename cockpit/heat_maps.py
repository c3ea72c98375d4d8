"""The heat maps that a steering job writes: what each layer and strength does to texts that are given.

The file grows while the job measures, and is read as it is; a line that cannot be read is passed over.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE = "heatmap.csv"


@dataclass(frozen=True)
class HeatMap:
    """One direction's map."""

    direction: str
    of_margin: bool
    """Whether values say how much right texts gained on wrong ones; else how much likelier gold solutions became."""
    layers: tuple[int, ...]
    alphas: tuple[float, ...]
    values: dict[tuple[int, float], float]
    """Nats a token by layer and strength; above 0 is better."""
    significant: frozenset[tuple[int, float]]

    @property
    def largest(self) -> float:
        return max(map(abs, self.values.values()))


def read_heat_maps(run_dir: Path) -> list[HeatMap]:
    """The maps of a run directory in the order of the file; none where there is no such file."""
    try:
        with (run_dir / FILE).open(newline="", encoding="utf-8") as file:
            rows = list(_rows(file))
    except OSError:
        return []
    maps = []
    for direction in dict.fromkeys(row[0] for row in rows):
        own = [row for row in rows if row[0] == direction]
        of_margin = all(margin is not None for *_, margin, _ in own)
        values = {
            (layer, alpha): margin if of_margin and margin is not None else -gold
            for _, layer, alpha, gold, margin, _ in own
        }
        layers = tuple(sorted({layer for layer, _ in values}))
        alphas = tuple(sorted({alpha for _, alpha in values}))
        sure = frozenset((layer, alpha) for _, layer, alpha, *_, significant in own if significant)
        maps.append(HeatMap(direction, of_margin, layers, alphas, values, sure))
    return maps


_Row = tuple[str, int, float, float, float | None, bool]


def _rows(file: Iterator[str]) -> Iterator[_Row]:
    """Direction, layer, strength, change of the gold solutions' loss, margin, and whether the change is significant."""
    for row in csv.DictReader(file):
        try:
            margin = float(row["margin_change"]) if row["margin_change"] else None
            gold = float(row["gold_nll_change"])
            yield (
                row["direction"],
                int(row["layer"]),
                float(row["alpha"]),
                gold,
                margin,
                row["significant"] == "True",
            )
        except (KeyError, ValueError, TypeError):
            continue
