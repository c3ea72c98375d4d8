"""transformers' Trainer on packed rows: one forward pass, two losses, and checkpoints of what is trained alone."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import Trainer

from engines.jepa.collate import PackedBatch, collate
from engines.jepa.controls import others
from engines.jepa.ema import SlowWeights
from engines.jepa.layout import PackedRow, plain
from engines.jepa.masks import FLEX_BLOCK
from engines.jepa.model import JepaModel, read
from engines.jepa.objective import (
    Counts,
    embedding_loss,
    figures,
    gradient_figures,
    language_loss,
    pair_count,
    weight_at,
)
from engines.jepa.packing import Packing
from engines.jepa.rows import SteppedRow

TRAINED = "trained.safetensors"
PANEL = "panel.json"


@dataclass(frozen=True)
class Inputs:
    """One forward pass."""

    batch: PackedBatch
    partner: Tensor
    """For each pair, one of another row to be compared with, or -1; `(P,)`."""
    counts: Counts
    """Of the optimizer step that it is a part of."""
    compares: bool
    """Whether to compare the gradients of the two losses, which takes two more backward passes."""


class JepaTrainer(Trainer):
    """Trains a JepaModel on stepped rows. `history` is what the panel has measured, kept in checkpoints."""

    def __init__(self, *, packing: Packing, pad_token: int, slow: SlowWeights | None, **options: Any) -> None:
        super().__init__(data_collator=hand_on, **options)
        self.packing = packing
        self.pad_token = pad_token
        self.slow = slow
        self.history: list[dict[str, float]] = []
        self.model_accepts_loss_kwargs = True  # losses are divided by counts of the whole step here
        if slow is not None:
            self.add_callback(slow)
        self._logged = Running()

    def train(self, *arguments: Any, **options: Any) -> Any:
        with self.jepa.attention("flex_attention" if self.packing.block.is_flex else None):
            return super().train(*arguments, **options)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[dict[str, Inputs]], int]:
        """All that the next optimizer step accumulates, packed for that step, with counts over all of it."""
        step = self.state.global_step
        found = [rows["rows"] for _, rows in zip(range(num_batches), epoch_iterator, strict=False)]
        batches = [self.collate([self.packing.row(row, step) for row in rows]) for rows in found]
        partners = [
            torch.tensor(
                others(batch.pairs.row.tolist(), f"{self.packing.seed}/{step}/{part}"), dtype=torch.int64
            )
            for part, batch in enumerate(batches)
        ]
        counts = Counts(
            labels=sum(batch.label_count for batch in batches),
            pairs=sum(pair_count(self.packing.block, partner) for partner in partners),
            tokens=sum(len(row.input_ids) for rows in found for row in rows),
        )
        self._logged.begin(counts)
        is_measured = step % self.packing.block.panel_steps == 0
        return [
            {"inputs": Inputs(batch, partner, counts, is_measured and part == 0)}
            for part, (batch, partner) in enumerate(zip(batches, partners, strict=True))
        ], counts.labels

    def compute_loss(self, model: nn.Module, inputs: dict[str, Inputs], *_: Any, **__: Any) -> Tensor:
        """This pass's share of gamma times the language loss plus lambda times the embedding loss."""
        block, part = self.packing.block, inputs["inputs"]
        device = self.args.device
        batch, partner = part.batch.to(device), part.partner.to(device)
        slow_targets = None
        if self.slow is not None and len(batch.pairs):
            with self.precision():
                states = self.jepa.encode_with(self.slow.weights, batch)
            slow_targets = read(states, batch.pairs)[1]
        readings = model(batch)
        targets = readings["targets"] if slow_targets is None else slow_targets
        language = language_loss(readings) / max(1, part.counts.labels)
        with torch.set_grad_enabled(torch.is_grad_enabled() and block.mode != "monitor"):
            embedding = embedding_loss(block, readings["predictions"], targets, partner)
            embedding = embedding / max(1, part.counts.pairs)
        weight = weight_at(block, self.state.global_step, self.state.max_steps)
        self._logged.add(language, embedding, weight, figures(readings, targets, partner))
        if part.compares and len(batch.pairs):
            shared = [one for one in self.jepa.lm.parameters() if one.requires_grad]
            self._logged.gradients = gradient_figures(language, embedding, shared)
        if not len(batch.pairs):
            return block.gamma * language
        return block.gamma * language + weight * embedding

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, *_: Any, **__: Any
    ) -> tuple[Tensor, None, None]:
        """The language loss of plain rows, which is what `eval_loss` is for every engine."""
        batch = self.collate([plain(row) for row in inputs["rows"]]).to(self.args.device)
        with torch.no_grad(), self.compute_loss_context_manager():
            return language_loss(model(batch)) / max(1, batch.label_count), None, None

    def collate(self, rows: Sequence[PackedRow]) -> PackedBatch:
        """On the CPU."""
        flex = self.jepa.config.get_text_config()._attn_implementation == "flex_attention"
        return collate(rows, pad_token=self.pad_token, multiple_of=FLEX_BLOCK if flex else 1)

    @property
    def jepa(self) -> JepaModel:
        """The model, whatever accelerate has wrapped it in."""
        model: JepaModel = self.accelerator.unwrap_model(self.model)
        return model

    def precision(self) -> AbstractContextManager[Any]:
        """That of the training, for forward passes that accelerate has not wrapped."""
        return torch.autocast(self.args.device.type, dtype=torch.bfloat16, enabled=self.args.bf16)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            logs.update(self._logged.take())
        super().log(logs, start_time)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """What is trained, and no more: the frozen weights are where they were loaded from."""
        directory = Path(output_dir or self.args.output_dir)
        directory.mkdir(parents=True, exist_ok=True)
        save_file(trained_tensors(self.jepa), directory / TRAINED)
        (directory / PANEL).write_text(json.dumps(self.history))
        if self.slow is not None:
            self.slow.save(directory)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        directory = Path(resume_from_checkpoint)
        parameters = dict(self.jepa.named_parameters())
        with torch.no_grad():
            for name, tensor in load_file(directory / TRAINED).items():
                parameters[name].copy_(tensor)
        self.history[:] = json.loads((directory / PANEL).read_text())
        if self.slow is not None:
            self.slow.load(directory)


def hand_on(rows: list[SteppedRow]) -> dict[str, Any]:
    """A batch as it is: how rows are packed depends on the step, which the loader, being ahead, does not know."""
    return {"count": torch.arange(len(rows)), "rows": rows}


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """By name, on the CPU; tied ones once."""
    return {
        name: parameter.detach().cpu().contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


class Running:
    """Means since the last log."""

    def __init__(self) -> None:
        self._tokens = 0
        self._clear()

    def _clear(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._steps = self._with_pairs = self._labels = 0
        self._weight = 0.0
        self.gradients: dict[str, float] = {}

    def begin(self, counts: Counts) -> None:
        """One more optimizer step."""
        self._steps += 1
        self._with_pairs += counts.pairs > 0
        self._labels += counts.labels
        self._tokens += counts.tokens

    def add(self, language: Tensor, embedding: Tensor, weight: float, sums: dict[str, Tensor]) -> None:
        """One forward pass; stays on the device until it is asked for."""
        self._weight = weight
        for name, value in {"language": language, "embedding": embedding, **sums}.items():
            value = value.detach().double()
            self._sums[name] = self._sums[name] + value if name in self._sums else value

    def take(self) -> dict[str, float]:
        """Of the steps since the last call; losses of the embeddings over the steps that had any."""
        sums = {name: float(value) for name, value in self._sums.items()}
        found = {
            "lm_loss": sums["language"] / self._steps,
            "mean_token_accuracy": sums["correct"] / max(1, self._labels),
            "num_tokens": float(self._tokens),
            **self.gradients,
        }
        if self._with_pairs:
            found |= {"jepa_loss": sums["embedding"] / self._with_pairs, "jepa_weight": self._weight}
        if compared := sums["compared"]:
            found |= {
                "jepa_cosine": sums["paired"] / compared,
                "jepa_margin": (sums["paired"] - sums["apart"]) / compared,
            }
        self._clear()
        return found
