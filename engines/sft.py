"""Supervised fine-tuning: teach a model worked solutions in the prompt's format, on TRL's SFTTrainer.

Two stages in the seed's terms: `prep` shows a base model a few examples, so that it learns the format; `full` goes on
from there with more of them. Both are the same training; the stage decides the default number of examples.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import BaseRecipe, LoraBlock, ModelBlock, Task
from engines.run import Run
from engines.tasks.example import Example

if TYPE_CHECKING:
    import torch

    from engines.training.rows import TrainingRow

PREP_SAMPLES = 128
"""Examples of stage `prep` where the recipe names no number."""


class Recipe(BaseRecipe):
    """Supervised fine-tuning of a model on a task's worked solutions."""

    outputs: ClassVar[tuple[str, ...]] = ("model",)

    engine: Literal["sft"]
    stage: Literal["prep", "full"] = "full"
    """`prep` teaches the format (128 examples unless `train_samples` says otherwise), `full` the task."""
    model: ModelBlock
    """What to start from."""
    lora: LoraBlock | None = LoraBlock()
    """The adapter to train; null trains all weights."""
    chain: Literal["continue", "merge"] = "continue"
    """After an adapter: train it further, or merge it into the weights and start a new one."""
    task: Task
    """Where the examples come from."""
    prompt: PromptSpec = PromptSpec()
    """How questions are put and answers are delimited."""
    train_samples: int | None = Field(None, ge=1)
    """How many training examples; for the same seed, 256 are the first 256 of 512. Null: all (`prep`: 128)."""
    traces: str | None = None
    """JSONL file of {"question", "answer": "<reasoning>\\n\\n#### 42"} to train on instead of the task's solutions."""
    num_train_epochs: float = Field(2.0, gt=0)
    """Passes over the examples."""
    max_steps: int = Field(-1, ge=-1)
    """Optimizer steps; -1 leaves it to the epochs."""
    learning_rate: float | None = Field(None, gt=0)
    """Peak learning rate. Null: 2e-4 for an adapter, 2e-5 for all weights."""
    per_device_train_batch_size: int = Field(4, ge=1)
    """Rows in one forward pass."""
    gradient_accumulation_steps: int = Field(4, ge=1)
    """Forward passes for one optimizer step; the effective batch is the product of both."""
    warmup_steps: float = Field(0.05, ge=0)
    """Steps of linear warm-up; below 1 it is a share of all steps."""
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "cosine"
    """How the learning rate falls after the warm-up."""
    weight_decay: float = Field(0.0, ge=0)
    """AdamW's weight decay."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients are scaled down to this norm."""
    max_length: int = Field(1024, ge=8)
    """Longest row in tokens."""
    drop_long: bool = False
    """Train without the rows that are longer than `max_length`, instead of refusing them."""
    packing: bool = False
    """Put several rows into one sequence of `max_length`, with attention kept apart."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: about a third slower, far less memory."""
    bf16: bool | None = None
    """Compute in bfloat16 (weights keep their dtype). Null: on GPUs that can."""
    logging_steps: int = Field(1, ge=1)
    """Log the loss every so many steps."""
    save_steps: int | None = Field(None, ge=1)
    """Checkpoint every so many steps. Null: after each epoch."""
    save_total_limit: int = Field(2, ge=1)
    """Checkpoints to keep."""
    eval_steps: int | None = Field(None, ge=1)
    """Measure loss and greedy accuracy on development examples every so many steps. Null: never."""
    eval_samples: int = Field(64, ge=1)
    """Development examples for that."""
    eval_max_new_tokens: int = Field(256, ge=1)
    """Longest completion in tokens for that."""

    @field_validator("max_steps")
    @classmethod
    def _takes_a_step(cls, steps: int) -> int:
        if steps == 0:
            raise ValueError("0 steps train nothing; -1 leaves the number to `num_train_epochs`")
        return steps

    @property
    def peak_learning_rate(self) -> float:
        return self.learning_rate or (2e-5 if self.lora is None else 2e-4)


def run(recipe: Recipe, run: Run) -> None:
    """Load, check, train, check, save."""
    import time

    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # trainers report their start otherwise

    from transformers import TrainerCallback, set_seed
    from transformers.trainer_callback import PrinterCallback
    from trl import SFTTrainer

    from engines.modeling.loading import choose_device, lineage, load_model, load_tokenizer, save_model
    from engines.modeling.tokens import end_token_ids
    from engines.prompts.rendering import render_prompt, resolve_prefill
    from engines.tasks.loading import data_hash, load_examples
    from engines.training import postflight, preflight
    from engines.training.callbacks import EventCallback, GreedyEvalCallback, StopOnRequest
    from engines.training.dev_accuracy import dev_accuracies
    from engines.training.record import peak_memory_bytes, versions, write_record
    from engines.training.resume import train, without_autocast
    from engines.training.rows import as_dataset, tokenize_rows

    began = time.monotonic()
    device = choose_device(recipe.device)
    tokenizer = load_tokenizer(recipe.model, run)
    spec = resolve_prefill(tokenizer, recipe.prompt)
    examples = _training_examples(recipe, run.seed)
    rows = _checked_rows(recipe, run, tokenizer, spec, examples)
    dev = load_examples(recipe.task, "dev")[: recipe.eval_samples] if recipe.eval_steps else []
    dev_rows = tokenize_rows(tokenizer, spec, dev)
    if dev_rows:
        dev_rows = preflight.drop_long_rows(dev_rows, recipe.max_length, drop_long=True)

    set_seed(run.seed)  # a fresh adapter starts from random numbers
    lora, chain = recipe.lora, recipe.chain
    model = load_model(
        recipe.model, run, tokenizer=tokenizer, device=device, trainable=True, lora=lora, chain=chain
    )
    made_from = lineage(recipe.model, run, lora=lora, chain=chain)
    preflight.check_context([*rows, *dev_rows], model.config)
    trainable = preflight.check_trainable(model)
    preflight.check_precision(model.parameters(), recipe.peak_learning_rate)
    preflight.check_pad(tokenizer.pad_token_id, end_token_ids(tokenizer, model))

    events = EventCallback(run)
    callbacks: list[TrainerCallback] = [events, StopOnRequest(run)]
    if dev_rows:
        longest = recipe.eval_max_new_tokens
        callbacks.append(
            GreedyEvalCallback(run, lambda model: dev_accuracies(model, tokenizer, spec, dev, longest))
        )
    trainer = SFTTrainer(
        model=model,
        args=_arguments(recipe, run, device),
        train_dataset=as_dataset(rows),
        eval_dataset=as_dataset(dev_rows) if dev_rows else None,
        processing_class=tokenizer,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # the events say it already
    before = postflight.snapshot(model)
    train(trainer, run.resume_from)
    run.stopped_early = run.stop_requested and trainer.state.global_step < trainer.state.max_steps
    if run.stopped_early:
        return

    postflight.check_finite(model)
    changed = postflight.check_weights_changed(before, postflight.snapshot(model))
    model = without_autocast(model).eval()
    save_model(model, tokenizer, run.model, made_from)
    prompts = [render_prompt(tokenizer, spec, example.question) for example in examples[:8]]
    postflight.check_saved(model, tokenizer, run.model, prompts)
    record = {
        "engine": "sft",
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        "seed": run.seed,
        "attempt": run.attempt,
        "data_hash": data_hash(examples),
        "prompt_hash": recipe.prompt.hash(),
        "rows": len(rows),
        "steps": trainer.state.global_step,
        "tokens": events.tokens,
        "trainable_parameters": trainable,
        "changed_parameters": changed,
        "lineage": made_from,
        "wall_seconds": round(time.monotonic() - began, 3),
        "peak_memory_bytes": peak_memory_bytes(device),
        "device": str(device),
        "versions": versions(),
    }
    write_record(run.dir / "run.json", record)
    run.events.emit("artifact", name="model", path="model")
    run.events.emit("artifact", name="run", path="run.json")


def _checked_rows(
    recipe: Recipe, run: Run, tokenizer: Any, spec: PromptSpec, examples: list[Example]
) -> "list[TrainingRow]":
    """The rows to train on, checked before a large model is loaded, and shown in `debug/`."""
    from engines.modeling.tokens import end_token_ids
    from engines.training import preflight
    from engines.training.rows import describe_rows, tokenize_rows

    rows = tokenize_rows(tokenizer, spec, examples)
    preflight.check_ends_are_trained(
        rows, end_token_ids(tokenizer), lambda token: not tokenizer.decode([token]).strip()
    )
    fitting = preflight.drop_long_rows(rows, recipe.max_length, recipe.drop_long)
    if len(fitting) < len(rows):
        run.events.message(f"left out {len(rows) - len(fitting)} of {len(rows)} rows as too long", "warning")
    shown = run.dir / "debug" / f"{recipe.stage}_{run.file_stem}_train.txt"
    shown.parent.mkdir(exist_ok=True)
    shown.write_text(describe_rows(tokenizer, spec, fitting), encoding="utf-8")
    run.events.emit("artifact", name="training_rows", path=str(shown.relative_to(run.dir)))
    return fitting


def _training_examples(recipe: Recipe, seed: int) -> list[Example]:
    """The task's own solutions, or the traces; `train_samples` of them in the seed's order."""
    from engines.recipe.errors import RecipeError
    from engines.tasks.loading import SPLITS, load_examples, training_examples
    from engines.tasks.splits import permuted
    from engines.training.rows import read_traces

    count = recipe.train_samples or (PREP_SAMPLES if recipe.stage == "prep" else None)
    if recipe.traces is None:
        return training_examples(recipe.task, count, seed)
    held_out = load_examples(recipe.task, "dev")
    if "test" in SPLITS[recipe.task.name](recipe.task.path):
        held_out += load_examples(recipe.task, "test")
    traces = read_traces(Path(recipe.traces).expanduser(), held_out)
    if count is not None and count > len(traces):
        raise RecipeError(
            f"train_samples: {count} asked for, but {recipe.traces} has {len(traces)} traces",
            hint=f"ask for at most {len(traces)}",
        )
    return permuted(traces, seed)[:count]


def _arguments(recipe: Recipe, run: Run, device: "torch.device") -> Any:
    import torch
    from trl import SFTConfig

    on_gpu = device.type == "cuda"
    bf16 = (
        recipe.bf16
        if recipe.bf16 is not None
        else on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    )
    return SFTConfig(
        output_dir=str(run.checkpoints),
        seed=run.seed,
        use_cpu=not on_gpu,
        bf16=bf16,
        num_train_epochs=recipe.num_train_epochs,
        max_steps=recipe.max_steps,
        learning_rate=recipe.peak_learning_rate,
        per_device_train_batch_size=recipe.per_device_train_batch_size,
        per_device_eval_batch_size=recipe.per_device_train_batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        warmup_steps=recipe.warmup_steps,
        lr_scheduler_type=recipe.lr_scheduler_type,
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.max_grad_norm,
        # Rows are checked against max_length already; TRL needs it only to fill packed sequences.
        max_length=recipe.max_length if recipe.packing else None,
        packing=recipe.packing,
        eval_packing=False,
        gradient_checkpointing=recipe.gradient_checkpointing,
        logging_steps=recipe.logging_steps,
        logging_nan_inf_filter=False,  # by default a nan loss is logged as the mean of those before it
        save_strategy="steps" if recipe.save_steps else "epoch",
        save_steps=recipe.save_steps or 500,
        save_total_limit=recipe.save_total_limit,
        eval_strategy="steps" if recipe.eval_steps else "no",
        eval_steps=recipe.eval_steps,
        dataloader_pin_memory=on_gpu,
        report_to="none",
        disable_tqdm=True,
    )
