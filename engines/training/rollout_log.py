"""A few completions of every logged step, to look at: `debug/rollouts_<run>.jsonl`, bounded in size."""

import json
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from engines.distributed.world import World
from engines.run import Run

LARGEST_FILE = 16 << 20


class RolloutLog(TrainerCallback):
    """Writes the first group's completions with what they earned; TRL gathers those of all processes. Needs the trainer, which `watch` gives it."""

    def __init__(self, run: Run, count: int) -> None:
        self._path = run.dir / "debug" / f"rollouts_{run.file_stem}.jsonl"
        self._run = run
        self._count = count
        self._logs: dict[str, Any] | None = None

    def watch(self, trainer: Any) -> None:
        """TRL keeps what it generated last in `_logs`: prompts, completions, rewards, advantages and extra columns."""
        self._logs = trainer._logs

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if not self._count or not World().leads or self._logs is None or "reward" not in logs:
            return
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in self._rows(state.global_step)]
        if _size(self._path) + sum(map(len, lines)) > LARGEST_FILE:
            return
        if not self._path.exists():
            self._path.parent.mkdir(exist_ok=True)
            self._run.events.emit(
                "artifact", name="rollouts", path=str(self._path.relative_to(self._run.dir))
            )
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(lines)

    def _rows(self, step: int) -> list[dict[str, Any]]:
        assert self._logs is not None
        columns = {
            "completion": self._logs["completion"],
            "advantage": self._logs["advantages"],
            **self._logs["extra"],
            **self._logs["rewards"],
        }
        return [
            {
                "step": step,
                "attempt": self._run.attempt,
                **{name: values[row] for name, values in columns.items()},
            }
            for row in range(min(self._count, len(columns["completion"])))
        ]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
