"""Step-JEPA training from the recipe to the saved model: the parts of `supervised`, with the proof in between."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from transformers import TrainingArguments

from engines.jepa.boundaries import stepped_rows
from engines.jepa.controls import random_boundaries
from engines.jepa.coverage import coverage, coverage_table
from engines.jepa.ema import SlowWeights
from engines.jepa.fields import JepaBlock
from engines.jepa.layout import PackedRow
from engines.jepa.masks import FLEX_BLOCK
from engines.jepa.model import JepaModel
from engines.jepa.packing import Packing
from engines.jepa.panel import Panel
from engines.jepa.predictor import make_predictor, save_predictor
from engines.jepa.proof import prove_language, prove_mask
from engines.jepa.reach import check_answers_are_hidden
from engines.jepa.recipe import JepaRecipe
from engines.jepa.refusals import check_masks_are_kept, check_positions
from engines.jepa.rows import SteppedRow
from engines.jepa.trainer import JepaTrainer
from engines.jepa.views import Views, views_of
from engines.recipe.errors import RecipeError
from engines.run import Run, write_whole
from engines.tasks.example import Example
from engines.training.budget import Meter
from engines.training.callbacks import EventCallback
from engines.training.supervised import Prepared, callbacks, finish, prepare, supervised_arguments

PROOF = "mask_proof.json"
_PROVED = 3
_PARTS = 7
"""Rows that the proof looks at: the shortest of those with so many parts, or with the most."""


def train_jepa(
    recipe: JepaRecipe,
    run: Run,
    examples: Sequence[Example],
    dev: Sequence[Example],
    *,
    rest: Sequence[Example],
    about: dict[str, Any],
    meter: Meter,
) -> dict[str, Any] | None:
    """Train, save to `run.model`, write `run.json`; None when the run was asked to stop before the end.

    `dev` holds the examples of the panel, and of `eval_steps` as many as that asks for. `rest` are traces that are not
    trained on: the panel where they have steps enough, since the task's own solutions may be written otherwise.
    """
    block = recipe.jepa
    watched = dev[: recipe.eval_samples] if recipe.eval_steps else []
    tokenize = partial(stepped_rows, steps=recipe.steps)
    ready = prepare(recipe, run, examples, watched, stage="jepa", tokenize=tokenize)
    rows: list[SteppedRow] = list(ready.rows)  # type: ignore[arg-type]  # what `tokenize` made
    _check_pairs(recipe, rows)
    held_out = _panel_rows(recipe, run, ready, rest, dev)
    views: dict[str, Views] = {}
    if block.mode == "text_code":
        views = views_of(ready.tokenizer, ready.spec, [*ready.examples, *rest, *dev])
    packing = Packing(block, run.seed, views)
    if block.control == "random_boundary":
        rows = [random_boundaries(row, run.seed) for row in rows]

    embedding = ready.model.get_input_embeddings()
    model = JepaModel(ready.model, make_predictor(block, embedding, run.seed))
    model.predictor.requires_grad_(block.mode != "monitor")
    _write_coverage(recipe, run, rows, packing)
    _check(recipe, run, ready, model, [packing.measured(row) for row in [*rows, *held_out]])

    events = EventCallback(run, meter)
    panel = _panel(run, packing, held_out)
    kernel = model.config.get_text_config()._attn_implementation
    trainer = JepaTrainer(
        packing=packing,
        pad_token=ready.tokenizer.pad_token_id,
        slow=_slow_weights(recipe, model),
        model=model,
        args=TrainingArguments(
            **supervised_arguments(recipe, run, ready.device),
            remove_unused_columns=False,
            label_names=["rows"],
        ),
        train_dataset=rows,
        eval_dataset=ready.dev_rows or None,
        callbacks=[
            *callbacks(recipe, run, ready, events, partial(model.attention, kernel)),
            *([panel] if panel else []),
        ],
    )
    if panel is not None:
        panel.trainer = trainer
    record = finish(recipe, run, ready, trainer, events, examples=examples, about=about, meter=meter)
    if record is not None:
        save_predictor(model.predictor, run.dir)
        _report(run, trainer.history)
    return record


def _steps_needed(block: JepaBlock) -> int:
    """How many steps a solution takes for one prediction."""
    return block.horizon + 1 if block.mode in ("monitor", "step", "steps") else 0


def _check_pairs(recipe: JepaRecipe, rows: Sequence[SteppedRow]) -> None:
    """Refuse data of which no row has anything to predict: it would be trained on as in ordinary fine-tuning."""
    needed, steps = _steps_needed(recipe.jepa), recipe.steps
    if any(len(row.steps) >= needed for row in rows):
        return
    key, cut = ("splitter", steps.splitter) if steps.pattern is None else ("pattern", steps.pattern)
    most = max(len(row.steps) for row in rows)
    found = f"{most} step" if most == 1 else f"{most} steps"
    raise RecipeError(
        f"steps.{key}: `{cut}` finds at most {found} in a solution, and with `jepa.horizon: {recipe.jepa.horizon}` a "
        f"prediction takes {needed}: none of {len(rows)} examples has anything to predict",
        hint="choose another `steps.splitter` or a smaller `jepa.horizon` (`tunedeck engine step_jepa coverage` counts the "
        "steps), or `jepa.mode: regular`",
    )


def _panel_rows(
    recipe: JepaRecipe, run: Run, ready: Prepared, rest: Sequence[Example], dev: Sequence[Example]
) -> list[SteppedRow]:
    """The first rows of the traces that are left, else of the development examples, that fit and have a step to predict.

    Without enough of them: none and a warning where traces are trained on, whose steps the task's own solutions may not
    have, and a RecipeError elsewhere.
    """
    block = recipe.jepa
    if block.mode == "regular":
        return []
    needed, fitting = _steps_needed(block), list[SteppedRow]()
    for examples in (rest, dev):
        rows = stepped_rows(ready.tokenizer, ready.spec, examples, recipe.steps)
        fitting = [
            row for row in rows if len(row.input_ids) <= recipe.max_length and len(row.steps) >= needed
        ]
        if len(fitting) >= 2:
            return fitting[: block.panel_examples]
    what = (
        f"jepa: {len(fitting)} of {len(dev)} development examples fit `max_length` and have the {needed} steps that a "
        "prediction takes, so that nothing can be measured"
    )
    if getattr(recipe, "traces", None) is None or block.mode == "monitor":
        raise RecipeError(
            what,
            hint="choose another `steps.splitter`, a smaller `jepa.horizon`, or raise `task.dev_examples`",
        )
    run.events.message(
        f"{what}: no retrieval, no alarm of a collapse. Traces beyond `train_samples` would be measured on",
        "warning",
    )
    return []


def _panel(run: Run, packing: Packing, held_out: Sequence[SteppedRow]) -> Panel | None:
    made = [(row, packing.measured(row)) for row in held_out]
    made = [(row, packed) for row, packed in made if packed.pairs]
    if len(made) < 2:
        return None
    return Panel(run, packing.block, [row for row, _ in made], [packed for _, packed in made])


def _check(recipe: JepaRecipe, run: Run, ready: Prepared, model: JepaModel, packed: list[PackedRow]) -> None:
    """Refuse what has nothing to predict or cannot be kept apart; prove the rest, and write the proof down."""
    block = recipe.jepa
    pad, bf16 = ready.tokenizer.pad_token_id, supervised_arguments(recipe, run, ready.device)["bf16"]
    if block.mode == "regular":
        prove_language(model, _shortest(packed), pad_token=pad, bf16=bf16)
        return
    if not any(row.pairs for row in packed[: len(ready.rows)]):
        raise RecipeError(
            f"jepa.mode: no solution is long enough for `{block.mode}`, so there is nothing to predict",
            hint="train on longer solutions, or set `jepa.mode: regular`",
        )
    check_positions(packed, model.config)
    if block.is_flex and ready.device.type != "cuda":
        raise RecipeError(
            "jepa.attention: `flex_attention` trains on CUDA only, and this device is a CPU",
            hint="leave it out: the model's own kernel takes the mask too",
        )
    rows = _shortest([row for row in packed if row.pairs])
    check_answers_are_hidden(rows)
    if all(len(row.segments) == 1 for row in rows):  # every embedding is read in the ordinary row
        prove_language(model, rows, pad_token=pad, bf16=bf16)
        return
    prove = partial(prove_mask, model, rows, pad_token=pad, multiple_of=FLEX_BLOCK if block.is_flex else 1)
    with model.attention("flex_attention" if block.is_flex else None):
        check_masks_are_kept(model.config)
        proof = prove().as_json()
        if supervised_arguments(recipe, run, ready.device)[
            "bf16"
        ]:  # as it is trained; looser, since it rounds
            proof["mixed_precision"] = prove(bf16=True).as_json()
    write_whole(run.dir / PROOF, json.dumps(proof, indent=2) + "\n")
    run.events.emit("artifact", name="mask_proof", path=PROOF)


def _shortest(rows: Sequence[PackedRow]) -> list[PackedRow]:
    """Those that the proof looks at."""
    return sorted(rows, key=lambda row: (-min(len(row.segments), _PARTS), len(row.input_ids)))[:_PROVED]


def _slow_weights(recipe: JepaRecipe, model: JepaModel) -> SlowWeights | None:
    block = recipe.jepa
    if block.target_grad != "ema" or block.mode in ("regular", "monitor"):
        return None
    return SlowWeights(model.transformer, block.ema_momentum)


def _write_coverage(recipe: JepaRecipe, run: Run, rows: Sequence[SteppedRow], packing: Packing) -> None:
    """For people: how many steps and pairs there are, and how much longer they make the rows."""
    path = run.dir / "debug" / f"steps_{run.file_stem}.txt"
    ordinary = sum(len(row.input_ids) for row in rows)
    packed = sum(len(packing.full(row, 0).input_ids) for row in rows)
    cost = f"tokens in a forward pass: {packed} ({packed / ordinary:.2f} times those of ordinary training)"
    write_whole(path, f"{coverage_table(coverage(rows, recipe.max_length)).rstrip()}\n{cost}\n")
    run.events.emit("artifact", name="steps", path=str(path.relative_to(run.dir)))


def _report(run: Run, history: Sequence[dict[str, float]]) -> None:
    """What the panel said last, as figures of the run."""
    for name, value in (history[-1] if history else {}).items():
        if name != "step":
            run.events.emit("score", name=f"panel/{name}", value=value, fields={})
