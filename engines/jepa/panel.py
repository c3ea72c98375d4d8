"""The held-out panel: the same development rows every few steps, and what predictions and embeddings are like on them."""

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from engines.jepa.alarm import collapse_warnings
from engines.jepa.distances import distances
from engines.jepa.fields import JepaBlock
from engines.jepa.layout import PackedRow
from engines.jepa.model import embeddings_at, read
from engines.jepa.retrieval import (
    centred,
    cosines,
    effective_rank,
    linear_r2,
    margin,
    mean_direction_energy,
    retrieval,
    spread,
    uniformity,
)
from engines.jepa.rows import SteppedRow
from engines.run import Run

_BATCH = 16


class Panel(TrainerCallback):
    """Measures before the first step, every `panel_steps` and after the last; warns of a collapse, once a cause.

    Its rows have their steps where they are, whatever the control does to those that are trained on.
    """

    def __init__(
        self, run: Run, block: JepaBlock, rows: Sequence[SteppedRow], packed: Sequence[PackedRow]
    ) -> None:
        self.run = run
        self.trainer: Any = None
        """Set once there is one; it was given this callback."""
        self._block = block
        self._packed = packed
        self._keys = [
            _key(row, span.step) for row, made in zip(rows, packed, strict=True) for span in made.candidates
        ]
        self._warned: set[str] = set()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 0:
            self._measure(0)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self._block.panel_steps == 0 or state.global_step == state.max_steps:
            self._measure(state.global_step)

    def _measure(self, step: int) -> None:
        figures = self.figures(self.trainer)
        self.run.events.metrics(step, {f"panel/{name}": value for name, value in figures.items()})
        history = self.trainer.history
        history.append({"step": step, **figures})
        for cause, text in collapse_warnings(history).items():
            if cause not in self._warned:
                self._warned.add(cause)
                self.run.events.message(f"step {step}: the embeddings may be collapsing: {text}", "warning")

    def figures(self, trainer: Any) -> dict[str, float]:
        """What is measured now."""
        predictions, targets, candidates, pair_rows, candidate_rows, right = self._read(trainer)
        scores = cosines(predictions, candidates)
        own_row = pair_rows[:, None] == candidate_rows[None, :]
        # The same text in two rows is the same embedding, and no mistake.
        keys = {key: number for number, key in enumerate(dict.fromkeys(self._keys))}
        texts = torch.tensor([keys[key] for key in self._keys])
        different = texts[right][:, None] != texts[None, :]
        everywhere = retrieval(scores, right, different)
        is_target = torch.zeros(len(candidates), dtype=torch.bool).index_fill(0, right, True)
        unrelated = different & ~own_row & is_target
        paired, apart = margin(scores, right, unrelated)
        centred_paired, centred_apart = margin(cosines(*centred(predictions, candidates)), right, unrelated)
        loss = distances(
            self._block.distance, predictions, targets, temperature=self._block.temperature
        ).mean()
        found = {
            "pairs": len(right),
            "jepa_loss": float(loss),
            "retrieval": everywhere["r1"],
            "mrr": everywhere["mrr"],
            "chance": everywhere["chance"],
            "cosine": paired,
            "margin": paired - apart,
            "centred_margin": centred_paired - centred_apart,
            "linear_r2": linear_r2(predictions, targets, pair_rows),
            "effective_rank": effective_rank(candidates),
            "energy": mean_direction_energy(candidates),
            "spread": spread(candidates),
            "uniformity": uniformity(candidates),
        }
        if bool((different & own_row).any()):
            hard = retrieval(scores, right, different & own_row)
            found |= {f"hard_{name}": value for name, value in hard.items()}
        return found

    def _read(self, trainer: Any) -> tuple[Tensor, ...]:
        """Predictions and targets `(P, hidden)`, candidates `(C, hidden)`, their rows, and each pair's candidate."""
        model, device = trainer.jepa, trainer.args.device
        training = model.training
        model.eval()
        parts: list[list[Tensor]] = [[], [], [], [], []]
        with torch.no_grad(), trainer.precision():
            for first in range(0, len(self._packed), _BATCH):
                batch = trainer.collate(self._packed[first : first + _BATCH]).to(device)
                states = model.encode(batch)
                sources, targets = read(states, batch.pairs)
                for part, value in zip(
                    parts,
                    (
                        model.predictor(sources),
                        targets,
                        _candidates(states, batch),
                        batch.pairs.row + first,
                        batch.candidates.row + first,
                    ),
                    strict=True,
                ):
                    part.append(value.cpu())
        model.train(training)
        right, offset = [], 0
        for row in self._packed:
            right += [offset + row.candidates.index(pair.target) for pair in row.pairs]
            offset += len(row.candidates)
        predictions, targets, candidates, pair_rows, candidate_rows = (torch.cat(part) for part in parts)
        return (
            predictions.float(), targets.float(), candidates.float(), pair_rows, candidate_rows, torch.tensor(right),
        )  # fmt: skip


def _candidates(states: Tensor, batch: Any) -> Tensor:
    """Every step's embedding; of tubes, which are differences, the same as the targets."""
    if bool((batch.pairs.origin >= 0).any()):
        return read(states, batch.pairs)[1]
    return embeddings_at(states, batch.candidates)


def _key(row: SteppedRow, step: int) -> Hashable:
    """What makes two candidates the same."""
    if step == 0:
        return row.id
    span = row.steps[step - 1]
    return tuple(row.input_ids[span.start : span.end])
