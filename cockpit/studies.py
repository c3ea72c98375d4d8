"""How far the studies of a steering job are: a file that it writes while it searches."""

import json
from dataclasses import dataclass
from pathlib import Path

FILE = "studies.json"


@dataclass(frozen=True)
class Study:
    """One study."""

    name: str
    role: str
    trials: int
    finished: int
    """Pruned ones among them."""
    pruned: int
    running: int
    best_gain: float | None
    """On the questions of the search: that of a selection. None while nothing was scored on all of them."""
    best_params: dict[str, float]


def read_studies(run_dir: Path) -> list[Study]:
    """The studies in the order in which they are searched; none where there is no such file, or it is something else."""
    try:
        rows = json.loads((run_dir / FILE).read_text(encoding="utf-8"))
        return [
            Study(
                name=str(row["study"]),
                role=str(row["role"]),
                trials=int(row["trials"]),
                finished=int(row["finished"]),
                pruned=int(row["pruned"]),
                running=int(row["running"]),
                best_gain=None if row["best_gain"] is None else float(row["best_gain"]),
                best_params={str(key): float(value) for key, value in (row["best_params"] or {}).items()},
            )
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
