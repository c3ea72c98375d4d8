"""Checkpoints of a run: which are complete, which are kept, and which one it goes on from. Nothing here needs torch.

checkpoints/epoch_0005/   policy/ (what loaders of models read), weights.safetensors, learner.pt, trainer_state.json,
                          manifest.json (last: a directory without it was cut short and does not exist)
checkpoints/start/        the policy that was started from, for what becomes of it to be told
checkpoints/best/         the policy of the best validation
checkpoints/final/ preempt/
checkpoints/best.json latest.json     which they are
"""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engines.run import write_whole

MANIFEST, STATE = "manifest.json", "trainer_state.json"
BEST, FINAL, PREEMPT, START = "best", "final", "preempt", "start"
_COUNTED = re.compile(r"(epoch|step)_(\d+)")
_PARTIAL = ".partial-"


class Checkpoints:
    """The checkpoints below a directory, as they are on disk: what an earlier attempt left counts too."""

    def __init__(self, directory: Path, keep: int) -> None:
        self.directory = directory
        self._keep = keep

    def save(self, name: str, state: Mapping[str, Any], write: Callable[[Path], None]) -> Path:
        """Write a checkpoint that is either not there or complete, then leave out those that are too old."""
        self.directory.mkdir(parents=True, exist_ok=True)
        partial = self.directory / f"{_PARTIAL}{name}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        write(partial)
        (partial / STATE).write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
        files = sorted(path for path in partial.rglob("*") if path.is_file())
        sums = {str(path.relative_to(partial)): _sha256(path) for path in files}
        about = {"step": state["step"], "resumable": (partial / "learner.pt").is_file(), "sha256": sums}
        (partial / MANIFEST).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        place = self.directory / name
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
        if name != START:
            pointer = {"path": name, "step": state["step"], "epoch": state["epoch"]}
            file = "best.json" if name == BEST else "latest.json"
            write_whole(self.directory / file, json.dumps(pointer) + "\n")
        self._leave_out_old()
        return place

    def complete(self) -> dict[str, dict[str, Any]]:
        """The manifests of all complete checkpoints, by name."""
        found = {}
        for path in sorted(self.directory.glob(f"*/{MANIFEST}")):
            manifest = _read(path)
            if not path.parent.name.startswith(".") and manifest and _has_all(path.parent, manifest):
                found[path.parent.name] = manifest
        return found

    def newest(self) -> Path | None:
        """The complete checkpoint that is farthest in the run and holds all that is needed to go on; None at the start."""
        steps = {name: one["step"] for name, one in self.complete().items() if one["resumable"]}
        name = max(steps, key=lambda one: (steps[one], one), default=None)
        return self.directory / name if name else None

    def kept(self) -> list[str]:
        """Those that count against the limit, oldest first."""
        complete = self.complete()
        return sorted(
            (name for name in complete if _COUNTED.fullmatch(name)), key=lambda one: complete[one]["step"]
        )

    def _leave_out_old(self) -> None:
        for name in self.kept()[: -self._keep]:
            # Without its manifest it is gone, whatever happens while the rest is being deleted.
            (self.directory / name / MANIFEST).unlink()
            shutil.rmtree(self.directory / name)


def state_of(checkpoint: Path) -> dict[str, Any]:
    """What was said of the run when it was saved."""
    state: dict[str, Any] = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    return state


def name_of(unit: str, number: int) -> str:
    """`epoch_0005`, `step_000120`."""
    return f"epoch_{number:04d}" if unit == "epochs" else f"step_{number:06d}"


def _has_all(directory: Path, manifest: Mapping[str, Any]) -> bool:
    return all((directory / name).is_file() for name in manifest["sha256"])


def _read(path: Path) -> dict[str, Any] | None:
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
