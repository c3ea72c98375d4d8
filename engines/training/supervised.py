"""Supervised training of examples, from loading to saving, on TRL's SFTTrainer: what `sft` and `tpt` share.

Nothing is trained before the rows, the model and the precision have been checked, and nothing counts as trained before
the saved files have been. A killed run goes on from its newest checkpoint to the same numbers.
"""

import os
import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import TrainerCallback, set_seed
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, SFTTrainer

from engines.generation.context import check_context
from engines.modeling.loading import choose_device, lineage, load_model, load_tokenizer, save_model
from engines.modeling.tokens import end_token_ids
from engines.prompts.rendering import render_prompt, resolve_prefill
from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.tasks.example import Example
from engines.training import postflight, preflight
from engines.training.arguments import shared_arguments
from engines.training.budget import Meter
from engines.training.callbacks import EventCallback, GreedyEvalCallback, StopOnRequest
from engines.training.dev_accuracy import dev_accuracies
from engines.training.record import RECORD, run_facts, write_record
from engines.training.resume import train, without_autocast
from engines.training.rows import TrainingRow, as_dataset, describe_rows, tokenize_rows
from engines.training.supervised_fields import SupervisedRecipe


def train_supervised(
    recipe: SupervisedRecipe,
    run: Run,
    examples: Sequence[Example],
    dev: Sequence[Example],
    *,
    stage: str,
    about: dict[str, Any],
    meter: Meter,
    rounding_is_wanted: bool = False,
) -> dict[str, Any] | None:
    """Train on the examples, save to `run.model` and, last of all, write `run.json`, which begins with `about`.

    `dev` is measured every `eval_steps`. Returns what `run.json` holds, or None when the run was asked to stop before the
    end. `rounding_is_wanted` turns the refusal of a precision in which almost nothing trains into a warning.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # trainers report their start otherwise
    began = time.monotonic()
    device = choose_device(recipe.device)
    tokenizer = load_tokenizer(recipe.model, run)
    spec = resolve_prefill(tokenizer, recipe.prompt)
    rows = _checked_rows(recipe, run, tokenizer, spec, examples, stage)
    dev_rows = tokenize_rows(tokenizer, spec, dev) if recipe.eval_steps else []
    if dev_rows:
        dev_rows = preflight.drop_long_rows(dev_rows, recipe.max_length, drop_long=True)
        dev = _those_of(dev_rows, dev)

    set_seed(run.seed)  # a fresh adapter starts from random numbers
    lora, chain = recipe.lora, recipe.chain
    model = load_model(
        recipe.model, run, tokenizer=tokenizer, device=device, trainable=True, lora=lora, chain=chain
    )
    made_from = lineage(recipe.model, run, lora=lora, chain=chain)
    preflight.check_context([*rows, *dev_rows], model.config)
    asked = [row.input_ids[: row.prompt_length] for row in dev_rows]
    check_context(asked, model.config, recipe.eval_max_new_tokens, "eval_max_new_tokens")
    trainable = preflight.check_trainable(model)
    try:
        preflight.check_precision(model.parameters(), recipe.peak_learning_rate)
    except RecipeError as error:
        if not rounding_is_wanted:
            raise
        run.events.message(f"{error.message}; this run was asked to train like that all the same", "warning")
    preflight.check_pad(tokenizer.pad_token_id, end_token_ids(tokenizer, model))

    events = EventCallback(run, meter)
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
    meter.save()
    if run.stopped_early:
        return None

    changed = postflight.check_trained(model, before, run.events)
    model = without_autocast(model).eval()
    save_model(model, tokenizer, run.model, made_from)
    asked_again = _those_of(rows, examples)[:8]
    prompts = [render_prompt(tokenizer, spec, example.question) for example in asked_again]
    postflight.check_saved(model, tokenizer, run.model, prompts)
    record = {
        **about,
        **run_facts(run, device, examples, recipe.prompt),
        "rows": len(rows),
        "steps": trainer.state.global_step,
        "tokens": events.tokens,
        "trained_tokens": meter.trained(rows, events.tokens, trainer.state.global_step).trained_tokens,
        "trainable_parameters": trainable,
        "changed_parameters": changed,
        "lineage": made_from,
        "wall_seconds": round(time.monotonic() - began, 3),
    }
    write_record(run.dir / RECORD, record)
    run.events.emit("artifact", name="model", path="model")
    run.events.emit("artifact", name="run", path=RECORD)
    return record


def _checked_rows(
    recipe: SupervisedRecipe,
    run: Run,
    tokenizer: Any,
    spec: PromptSpec,
    examples: Sequence[Example],
    stage: str,
) -> list[TrainingRow]:
    """The rows to train on, checked before a large model is loaded, and shown in `debug/`."""
    rows = tokenize_rows(tokenizer, spec, examples)
    preflight.check_ends_are_trained(
        rows, end_token_ids(tokenizer), lambda token: not tokenizer.decode([token]).strip()
    )
    fitting = preflight.drop_long_rows(rows, recipe.max_length, recipe.drop_long)
    if len(fitting) < len(rows):
        run.events.message(f"left out {len(rows) - len(fitting)} of {len(rows)} rows as too long", "warning")
    shown = run.dir / "debug" / f"{stage}_{run.file_stem}_train.txt"
    shown.parent.mkdir(exist_ok=True)
    shown.write_text(describe_rows(tokenizer, spec, fitting), encoding="utf-8")
    run.events.emit("artifact", name="training_rows", path=str(shown.relative_to(run.dir)))
    return fitting


def _those_of(rows: Sequence[TrainingRow], examples: Sequence[Example]) -> list[Example]:
    """The examples whose rows are there."""
    ids = {row.id for row in rows}
    return [example for example in examples if example.id in ids]


def _arguments(recipe: SupervisedRecipe, run: Run, device: torch.device) -> Any:
    return SFTConfig(
        **shared_arguments(recipe, run, device),
        num_train_epochs=recipe.num_train_epochs,
        max_steps=recipe.max_steps,
        learning_rate=recipe.peak_learning_rate,
        per_device_train_batch_size=recipe.per_device_train_batch_size,
        per_device_eval_batch_size=recipe.per_device_train_batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation_steps,
        # Rows are checked against max_length already; TRL needs it only to fill packed sequences.
        max_length=recipe.max_length if recipe.packing else None,
        packing=recipe.packing,
        eval_packing=False,
        save_strategy="steps" if recipe.save_steps else "epoch",
        save_steps=recipe.save_steps or 500,
        eval_strategy="steps" if recipe.eval_steps else "no",
        eval_steps=recipe.eval_steps,
    )
