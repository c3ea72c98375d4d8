"""What a policy said while it was trained: the few completions of every logged step that `grpo` writes down."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LARGEST = 32 << 20
"""Engines write at most half of this."""


@dataclass(frozen=True)
class Rollout:
    """One completion, `index` of `count`. `figures` are its rewards and whatever else is a number."""

    index: int
    count: int
    step: int | None
    attempt: int | None
    completion: str
    figures: dict[str, float]
    texts: dict[str, str]


def rollout_file(run_dir: Path) -> Path | None:
    """The file that was written to last; None where the job logs no completions."""
    files = list((run_dir / "debug").glob("rollouts_*.jsonl"))
    return max(files, key=lambda file: file.stat().st_mtime_ns, default=None)


def read_rollout(run_dir: Path, index: int | None) -> Rollout | None:
    """One completion by its place; the newest for None. A line that is still being written does not count."""
    path = rollout_file(run_dir)
    if path is None:
        return None
    with path.open("rb") as file:
        lines = file.read(_LARGEST).split(b"\n")[:-1]
    if not lines:
        return None
    place = len(lines) - 1 if index is None else min(max(index, 0), len(lines) - 1)
    try:
        row = json.loads(lines[place])
    except ValueError:
        row = {"completion": lines[place].decode("utf-8", "replace")}
    return _rollout(row if isinstance(row, dict) else {}, place, len(lines))


def _rollout(row: dict[str, Any], place: int, count: int) -> Rollout:
    step, attempt = (row.pop(name, None) for name in ("step", "attempt"))
    completion = _text(row.pop("completion", ""))
    figures = {k: float(v) for k, v in row.items() if isinstance(v, int | float) and v is not None}
    texts = {k: _text(v) for k, v in row.items() if k not in figures and v is not None}
    whole = [value if isinstance(value, int) else None for value in (step, attempt)]
    return Rollout(place, count, whole[0], whole[1], completion, figures, texts)


def _text(value: object) -> str:
    """A completion is a text, or a conversation."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and all(isinstance(turn, dict) for turn in value):
        return "\n".join(f"{turn.get('role', '?')}: {turn.get('content', '')}" for turn in value)
    return json.dumps(value, ensure_ascii=False)
