"""Training a causal language model from scratch on packed text, resumable to the same numbers.

Which rows a step sees follows from the seed and the step alone, and nothing else is random, so weights and optimizer
state are all that a checkpoint needs.
"""

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.run import Run
from engines.tasks.example import Document

_PROGRESS_EVERY = 0.25


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    steps: int
    batch: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    save_steps: int
    save_total_limit: int

    def rate(self, step: int) -> float:
        """Linear warm-up, then a cosine down to 2 % of the peak. The first step is 1."""
        fall = 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * min(1.0, step / max(1, self.warmup_steps)) * (0.02 + 0.98 * fall)


def pack(tokenizer: Any, documents: Sequence[Document], length: int) -> Tensor:
    """The documents, each closed by the end token, in rows of `length` tokens. The last, shorter row is left out."""
    texts = [_rendered(tokenizer, document) for document in documents]
    ids = [token for row in tokenizer(texts, add_special_tokens=False)["input_ids"] for token in row]
    rows = len(ids) // length
    return torch.tensor(ids[: rows * length], dtype=torch.int32).view(rows, length)


def _rendered(tokenizer: Any, document: Document) -> str:
    if isinstance(document, str):
        return document + str(tokenizer.eos_token)
    said, reply = document
    messages = [{"role": "user", "content": said}, {"role": "assistant", "content": reply}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False))


def optimizers_for(model: Any, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the model, AdamW for embeddings and norms: half the steps of AdamW alone."""
    named = list(model.named_parameters())
    matrices = [
        weight
        for name, weight in named
        if weight.dim() == 2 and "embed" not in name and "lm_head" not in name
    ]
    inside = {id(weight) for weight in matrices}
    others = [weight for _, weight in named if id(weight) not in inside]
    return [
        torch.optim.AdamW(others, lr=schedule.learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
        torch.optim.Muon(
            matrices,
            lr=schedule.learning_rate,
            weight_decay=schedule.weight_decay,
            adjust_lr_fn="match_rms_adamw",  # so that one learning rate suits both
        ),
    ]


def train(
    model: Any, rows: Tensor, schedule: Schedule, run: Run, measure: Callable[[], dict[str, float]]
) -> bool:
    """Train to the last step, from the newest checkpoint where there is one. False where it was asked to stop."""
    optimizers = optimizers_for(model, schedule)
    done = _restore(run.resume_from, model, optimizers)
    device = next(model.parameters()).device
    run.events.progress(done, schedule.steps)
    shown = time.monotonic()
    for step, epoch, batch in _batches(rows, schedule, done, run.seed):
        began = time.monotonic()
        values = _step(
            model, optimizers, batch.to(device).long(), schedule.rate(step), schedule.max_grad_norm
        )
        now = time.monotonic()
        tokens = {"tokens": step * batch.numel(), "tokens_per_second": batch.numel() / (now - began)}
        run.events.metrics(step, {**values, "learning_rate": schedule.rate(step), "epoch": epoch, **tokens})
        if now - shown >= _PROGRESS_EVERY or step == schedule.steps:
            shown = now
            run.events.progress(step, schedule.steps)
        if step % schedule.save_steps == 0 or step == schedule.steps or run.stop_requested:
            run.events.metrics(step, measure())
            _save(run, step, model, optimizers, schedule.save_total_limit)
        if run.stop_requested and step < schedule.steps:
            run.stopped_early = True
            return False
    return True


@torch.no_grad()
def loss_on(model: Any, tokenizer: Any, texts: Sequence[str]) -> float:
    """Mean loss per token on whole documents."""
    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    ids = [[end, *row, end] for row in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]
    width = max(map(len, ids))
    padded = torch.tensor([row + [pad] * (width - len(row)) for row in ids], device=model.device)
    labels = padded.masked_fill(padded == pad, -100)
    return float(model(input_ids=padded, attention_mask=(padded != pad).long(), labels=labels).loss)


def _batches(rows: Tensor, schedule: Schedule, done: int, seed: int) -> Iterator[tuple[int, float, Tensor]]:
    per_epoch = len(rows) // schedule.batch
    order, order_of = torch.empty(0), -1
    for step in range(done + 1, schedule.steps + 1):
        epoch, place = divmod(step - 1, per_epoch)
        if epoch != order_of:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
            order, order_of = torch.randperm(len(rows), generator=generator), epoch
        yield step, step / per_epoch, rows[order[place * schedule.batch : (place + 1) * schedule.batch]]


def _step(
    model: Any, optimizers: Sequence[torch.optim.Optimizer], batch: Tensor, rate: float, max_norm: float
) -> dict[str, float]:
    loss = model(input_ids=batch, labels=batch).loss
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
    model.zero_grad()
    return {"loss": loss.item(), "grad_norm": norm.item()}


def _save(run: Run, step: int, model: Any, optimizers: Sequence[torch.optim.Optimizer], keep: int) -> None:
    directory = run.checkpoints / f"checkpoint-{step}"
    directory.mkdir(parents=True, exist_ok=True)
    state = {"model": model.state_dict(), "optimizers": [optimizer.state_dict() for optimizer in optimizers]}
    torch.save(state, directory / "state.pt")
    # Last: a checkpoint counts as complete when this file is there.
    (directory / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    run.events.emit("checkpoint", step=step, path=str(directory.relative_to(run.dir)))
    saved = sorted(run.checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    for old in saved[:-keep]:
        shutil.rmtree(old)


def _restore(checkpoint: Path | None, model: Any, optimizers: Sequence[torch.optim.Optimizer]) -> int:
    """The step that was reached."""
    if checkpoint is None:
        return 0
    state = torch.load(checkpoint / "state.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return int(checkpoint.name.rpartition("-")[2])
