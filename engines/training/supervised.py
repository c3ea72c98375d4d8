"""Supervised training of examples, from loading to saving: what `sft`, `tpt` and `step_jepa` share.

Nothing is trained before the rows, the model and the precision have been checked, and nothing counts as trained before
the saved files have been. A killed run goes on from its newest checkpoint to the same numbers.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from transformers import TrainerCallback, set_seed
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, SFTTrainer

from engines.distributed.world import World
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
from engines.training.reporting import check_reporters
from engines.training.resume import train, without_autocast
from engines.training.rows import TrainingRow, as_dataset, describe_rows, tokenize_rows
from engines.training.sharding import ShardableTrainer, is_sharded, put_together
from engines.training.supervised_fields import SupervisedRecipe

Tokenize = Callable[[Any, PromptSpec, Sequence[Example]], Sequence[TrainingRow]]
"""Rows of examples, one each and in their order."""


class SupervisedTrainer(ShardableTrainer, SFTTrainer):
    """TRL's trainer, of one process or several."""


@dataclass(frozen=True)
class Prepared:
    """What has been loaded and checked, and may be trained."""

    device: torch.device
    tokenizer: Any
    spec: PromptSpec
    rows: list[TrainingRow]
    examples: list[Example]
    """Those of the rows; others were too long."""
    dev_rows: list[TrainingRow]
    dev: list[Example]
    model: Any
    made_from: list[dict[str, Any]]
    began: float


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
    end, and in processes other than the first. `rounding_is_wanted` turns the refusal of a precision in which almost nothing trains into a warning.
    """
    ready = prepare(recipe, run, examples, dev, stage=stage, rounding_is_wanted=rounding_is_wanted)
    _tell_of_repeated_rows(recipe, run, len(ready.rows))
    events = EventCallback(run, meter)
    trainer = SupervisedTrainer(
        model=ready.model,
        args=SFTConfig(
            **supervised_arguments(recipe, run, ready.device),
            # Rows are checked against max_length already; TRL needs it only to fill packed sequences.
            max_length=recipe.max_length if recipe.packing else None,
            packing=recipe.packing,
            eval_packing=False,
        ),
        train_dataset=as_dataset(ready.rows),
        eval_dataset=as_dataset(ready.dev_rows) if ready.dev_rows else None,
        processing_class=ready.tokenizer,
        callbacks=callbacks(recipe, run, ready, events),
    )
    return finish(recipe, run, ready, trainer, events, examples=examples, about=about, meter=meter)


def prepare(
    recipe: SupervisedRecipe,
    run: Run,
    examples: Sequence[Example],
    dev: Sequence[Example],
    *,
    stage: str,
    rounding_is_wanted: bool = False,
    tokenize: Tokenize = tokenize_rows,
) -> Prepared:
    """Load everything, and refuse what could not mean what it says."""
    check_reporters(recipe.report_to)
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # trainers report their start otherwise
    began = time.monotonic()
    device = choose_device(recipe.device)
    tokenizer = load_tokenizer(recipe.model, run)
    spec = resolve_prefill(tokenizer, recipe.prompt)
    rows = _checked_rows(recipe, run, tokenizer, spec, tokenize(tokenizer, spec, examples), stage)
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
    preflight.check_trainable(model)
    try:
        preflight.check_precision(model.parameters(), recipe.peak_learning_rate)
    except RecipeError as error:
        if not rounding_is_wanted:
            raise
        run.events.message(f"{error.message}; this run was asked to train like that all the same", "warning")
    preflight.check_pad(tokenizer.pad_token_id, end_token_ids(tokenizer, model))
    trained_on = _those_of(rows, examples)
    return Prepared(device, tokenizer, spec, rows, trained_on, dev_rows, list(dev), model, made_from, began)


def callbacks(
    recipe: SupervisedRecipe,
    run: Run,
    ready: Prepared,
    events: EventCallback,
    generating: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[TrainerCallback]:
    """Events, stopping, and accuracy on the dev examples, for which the model generates inside `generating`."""

    def accuracies(_trained: Any) -> dict[str, float]:
        with generating():
            longest = recipe.eval_max_new_tokens
            return dev_accuracies(ready.model, ready.tokenizer, ready.spec, ready.dev, longest)

    found: list[TrainerCallback] = [events, StopOnRequest(run)]
    return [*found, GreedyEvalCallback(run, accuracies)] if ready.dev_rows else found


def finish(
    recipe: SupervisedRecipe,
    run: Run,
    ready: Prepared,
    trainer: Any,
    events: EventCallback,
    *,
    examples: Sequence[Example],
    about: dict[str, Any],
    meter: Meter,
) -> dict[str, Any] | None:
    """Train, check, save. What `trainer` trains is the model, or something that holds it."""
    trainer.remove_callback(PrinterCallback)  # the events say it already
    trained = trainer.model
    trainable = preflight.check_trainable(trained)
    before = postflight.snapshot(trained)
    train(trainer, run.resume_from)
    run.stopped_early = run.stop_requested and trainer.state.global_step < trainer.state.max_steps
    meter.save()
    if run.stopped_early:
        return None

    model = ready.model
    if is_sharded(trainer):
        model = trained = put_together(trainer, recipe, run, ready.tokenizer)
    if not World().leads:
        return None
    model.to(ready.device)
    changed = postflight.check_trained(trained, before, run.events)
    without_autocast(trained)
    model.eval()
    save_model(model, ready.tokenizer, run.model, ready.made_from)
    prompts = [render_prompt(ready.tokenizer, ready.spec, example.question) for example in ready.examples[:8]]
    postflight.check_saved(model, ready.tokenizer, run.model, prompts)
    record = {
        **about,
        **run_facts(run, ready.device, examples, recipe.prompt),
        "rows": len(ready.rows),
        "steps": trainer.state.global_step,
        "tokens": events.tokens,
        "trained_tokens": meter.trained(ready.rows, events.tokens, trainer.state.global_step).trained_tokens,
        "trainable_parameters": trainable,
        "changed_parameters": changed,
        "lineage": ready.made_from,
        "wall_seconds": round(time.monotonic() - ready.began, 3),
    }
    write_record(run.dir / RECORD, record)
    run.events.emit("artifact", name="model", path="model")
    run.events.emit("artifact", name="run", path=RECORD)
    return record


def _tell_of_repeated_rows(recipe: SupervisedRecipe, run: Run, rows: int) -> None:
    """Several processes take whole batches, the last of an epoch filled up with its first rows."""
    size = World().size
    repeated = -rows % (recipe.per_device_train_batch_size * size)
    if size > 1 and repeated and not recipe.packing:
        run.events.message(
            f"{repeated} of {rows} rows are seen once more in every epoch, so that all {size} processes get whole batches"
        )


def _checked_rows(
    recipe: SupervisedRecipe,
    run: Run,
    tokenizer: Any,
    spec: PromptSpec,
    rows: Sequence[TrainingRow],
    stage: str,
) -> list[TrainingRow]:
    """The rows to train on, checked before a large model is loaded, and shown in `debug/`."""
    preflight.check_ends_are_trained(
        rows, end_token_ids(tokenizer), lambda token: not tokenizer.decode([token]).strip()
    )
    fitting = preflight.drop_long_rows(rows, recipe.max_length, recipe.drop_long)
    if len(fitting) < len(rows):
        run.events.message(f"left out {len(rows) - len(fitting)} of {len(rows)} rows as too long", "warning")
    if World().leads:
        _show(run, tokenizer, spec, fitting, stage)
    return fitting


def _show(run: Run, tokenizer: Any, spec: PromptSpec, rows: Sequence[TrainingRow], stage: str) -> None:
    shown = run.dir / "debug" / f"{stage}_{run.file_stem}_train.txt"
    shown.parent.mkdir(exist_ok=True)
    shown.write_text(describe_rows(tokenizer, spec, rows), encoding="utf-8")
    run.events.emit("artifact", name="training_rows", path=str(shown.relative_to(run.dir)))


def _those_of(rows: Sequence[TrainingRow], examples: Sequence[Example]) -> list[Example]:
    """The examples whose rows are there."""
    ids = {row.id for row in rows}
    return [example for example in examples if example.id in ids]


def supervised_arguments(recipe: SupervisedRecipe, run: Run, device: torch.device) -> dict[str, Any]:
    """Fields of `TrainingArguments`."""
    return {
        **shared_arguments(recipe, run, device),
        "fsdp": recipe.distributed == "fsdp" or None,
        "num_train_epochs": recipe.num_train_epochs,
        "max_steps": recipe.max_steps,
        "learning_rate": recipe.peak_learning_rate,
        "per_device_train_batch_size": recipe.per_device_train_batch_size,
        "per_device_eval_batch_size": recipe.per_device_train_batch_size,
        "gradient_accumulation_steps": recipe.gradient_accumulation_steps,
        "save_strategy": "steps" if recipe.save_steps else "epoch",
        "save_steps": recipe.save_steps or 500,
        "eval_strategy": "steps" if recipe.eval_steps else "no",
        "eval_steps": recipe.eval_steps,
    }
