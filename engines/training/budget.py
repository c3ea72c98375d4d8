"""What a training run spends, in units that SFT and GRPO share: kept in a file, so that no attempt's share is lost."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from engines.events import EventWriter
from engines.generation.append_only import append_lines, read_lines
from engines.generation.completion import Completion

FILE_NAME = "budget.json"
LEDGER = "generated.jsonl"
"""What was generated, one line an entry, so that a kill at any time neither loses nor doubles one."""


class Row(Protocol):
    """What is counted of a training row."""

    @property
    def input_ids(self) -> list[int]: ...
    @property
    def prompt_length(self) -> int: ...


@dataclass
class Budget:
    """Totals over all attempts at a job."""

    prompts: int = 0
    """Different questions that were trained on."""
    completions: int = 0
    """Completions that were generated to learn from; 0 for SFT."""
    generated_tokens: int = 0
    trained_tokens: int = 0
    """Tokens that bore a loss."""
    steps: int = 0
    """Optimizer steps of the result; those that a resumed run repeated count once."""
    seconds: float = 0.0
    """Wall time of all attempts, loading included."""

    def emit(self, events: EventWriter) -> None:
        """One score a figure."""
        for name, value in asdict(self).items():
            events.emit("score", name=f"budget/{name}", value=value, fields={})


class Meter:
    """A budget that is being spent. `save` adds this attempt's wall time, and is cheap enough for every checkpoint.

    Of several processes one `writes`; all are told the same.
    """

    def __init__(self, run_dir: Path, *, writes: bool = True) -> None:
        self._writes = writes
        self._path = run_dir / FILE_NAME
        self._ledger = run_dir / LEDGER
        self.budget = Budget(**json.loads(self._path.read_text())) if self._path.is_file() else Budget()
        self._entries = {entry["key"]: entry for entry in read_lines(self._ledger)}
        self._sum_up()
        self._counted = time.monotonic()

    def generated(self, entries: Mapping[str, Sequence[Completion]]) -> None:
        """Counts completions, each key once and for good: whoever is not sure whether it was counted counts again."""
        new = [
            {"key": key, "completions": len(made), "tokens": sum(len(one.token_ids) for one in made)}
            for key, made in entries.items()
            if key not in self._entries
        ]
        if self._writes:
            append_lines(self._ledger, new)
        self._entries |= {str(entry["key"]): entry for entry in new}
        self._sum_up()

    def _sum_up(self) -> None:
        self.budget.completions = sum(entry["completions"] for entry in self._entries.values())
        self.budget.generated_tokens = sum(entry["tokens"] for entry in self._entries.values())

    def trained(self, rows: Sequence[Row], tokens: int, steps: int) -> Budget:
        """The budget at the end of supervised training on `rows`, of which it saw `tokens` in all."""
        total = sum(len(row.input_ids) for row in rows)
        bearing_loss = sum(len(row.input_ids) - row.prompt_length for row in rows)
        self.budget.prompts, self.budget.steps = len(rows), steps
        self.budget.trained_tokens = round(tokens * bearing_loss / total)
        self.save()
        return self.budget

    def save(self) -> None:
        now = time.monotonic()
        self.budget.seconds = round(self.budget.seconds + now - self._counted, 3)
        self._counted = now
        if not self._writes:
            return
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self.budget)))
        partial.replace(self._path)
