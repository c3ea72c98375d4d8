"""Which row a mode makes of an example, at which step."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from engines.jepa.fields import JepaBlock
from engines.jepa.layout import PackedRow, pack, plain
from engines.jepa.rows import SteppedRow
from engines.jepa.views import Views, text_and_code, tube


@dataclass(frozen=True)
class Packing:
    """Rows for optimizer steps: functions of the recipe, the seed, the row and the step, so that a resumed run makes the same."""

    block: JepaBlock
    seed: int
    views: Mapping[str, Views]
    """By the rows' ids, where the mode needs them."""

    def is_dropped(self, step: int) -> bool:
        """Whether this step (from 0) does without the embedding loss: one draw for all that is accumulated."""
        return random.Random(f"{self.seed}/dropout/{step}").random() < self.block.loss_dropout

    def row(self, row: SteppedRow, step: int) -> PackedRow:
        """The row to train on at this step."""
        return plain(row) if self.is_dropped(step) else self.full(row, step)

    def full(self, row: SteppedRow, step: int) -> PackedRow:
        """The same where no step is dropped."""
        return self._row(row, f"{self.seed}/{row.id}/{step}")

    def measured(self, row: SteppedRow) -> PackedRow:
        """The row to measure on, always the same, with all that a prediction may be told from."""
        return self._row(row, f"{self.seed}/{row.id}/panel", all_steps=True)

    def _row(self, row: SteppedRow, seed: str, *, all_steps: bool = False) -> PackedRow:
        block = self.block
        if block.mode == "regular":
            return plain(row)
        if block.mode == "text_code":
            return text_and_code(row, self.views[row.id], predictors=block.tokens)
        if block.mode == "stp":
            return tube(row, seed)
        return pack(
            row,
            predictors=block.tokens,
            horizon=block.horizon,
            first_only=block.mode == "step" and not all_steps,
            target=block.target,
            readout=block.readout,
            all_steps=all_steps,
        )
