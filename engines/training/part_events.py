"""What a part of a job reports, in the terms of the whole job: steps go on counting, and paths begin at its directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engines.events import EventWriter


class PartEvents(EventWriter):
    """Writes to the job's events for a part that trains in the directory `part` below it, from step `first_step` on."""

    def __init__(self, run_dir: Path, part: str, *, first_step: int, parts_done: float, parts: float) -> None:
        super().__init__(run_dir)
        self._part = part
        self._first_step = first_step
        self._parts_done = parts_done
        self._parts = parts

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        super().metrics(self._first_step + step, values)

    def emit(self, kind: str, **fields: Any) -> None:
        if "path" in fields:
            fields["path"] = f"{self._part}/{fields['path']}"
        if "name" in fields:
            fields["name"] = f"{self._part}/{fields['name']}"
        if "step" in fields:
            fields["step"] += self._first_step
        super().emit(kind, **fields)

    def progress(self, done: float, total: float, unit: str = "step") -> None:
        share = done / total if total else 1.0
        super().emit("progress", done=round(self._parts_done + share, 3), total=self._parts, unit="part")
