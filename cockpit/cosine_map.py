"""The cosines between the gradients of a job's tasks, as it measured them last.

The file is written anew with each measurement, and is read as it is; a line that cannot be read is passed over.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

FILE = "cosines.csv"


@dataclass(frozen=True)
class CosineMap:
    """Every task's gradient against every other's."""

    step: int
    tasks: tuple[str, ...]
    cosines: dict[tuple[str, str], float]
    corrected: dict[tuple[str, str], float]
    """Without the noise of either gradient; pairs of which one is too much noise to tell are not there."""


def read_cosine_map(run_dir: Path) -> CosineMap | None:
    """The map of a run directory; None where there is none."""
    step, cosines, corrected = 0, {}, {}
    try:
        with (run_dir / FILE).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                try:
                    pair, cosine = (row["row"], row["column"]), float(row["cosine"])
                    calm = float(row["corrected"]) if row["corrected"] else None
                    step = int(row["step"])
                except (KeyError, ValueError, TypeError):
                    continue
                if math.isfinite(cosine):
                    cosines[pair] = cosine
                if calm is not None:
                    corrected[pair] = calm
    except OSError:
        return None
    tasks = tuple(dict.fromkeys(name for pair in cosines for name in pair))
    return CosineMap(step, tasks, cosines, corrected) if tasks else None
