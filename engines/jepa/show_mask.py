"""`tunedeck engine step_jepa show-mask`: one example as training packs it, and who sees whom in it."""

import os
import shutil
import sys
from pathlib import Path

import click

from engines.jepa.fields import JepaBlock
from engines.jepa.layout import PackedRow
from engines.jepa.mask_blocks import blocks_of
from engines.jepa.mask_picture import Look, matrix, picture, sequence, token_texts
from engines.jepa.mask_words import who_sees_whom
from engines.jepa.packing import Packing
from engines.jepa.preview import Preview, preview
from engines.jepa.rows import SteppedRow
from engines.jepa.views import views_of
from engines.tasks.example import Example
from engines.verbs.request import Request, verb

DEFAULT_PREDICTORS = (1, 2, 3)
SHOWN = 40
"""Tokens of a block that are shown where not all are asked for."""
NARROWEST = 60
UNBROKEN = 100_000
"""Columns, so that no line is broken: of what is listened to."""


@verb
@click.option(
    "--example",
    "which",
    help="A training example: its number, from 0, or its id. By default the first with a step to predict.",
)
@click.option(
    "--predictors",
    "-k",
    type=click.IntRange(0, 8),
    multiple=True,
    help="Predictor tokens; 1, 2 and 3 by default.",
)
@click.option("--traces", type=click.Path(path_type=Path), help="Solutions to take instead of the recipe's.")
@click.option("--all", "whole", is_flag=True, help="Show every token of long blocks.")
def show_mask(
    request: Request, which: str | None, predictors: tuple[int, ...], traces: Path | None, whole: bool
) -> None:
    """Show the tokens of an example, what is packed behind them, what is read where, and who sees whom."""
    found = preview(request, traces)
    for remark in found.remarks:
        click.echo(f"warning: {remark}", err=True)
    example = first_to_predict(found) if which is None else found.find(which)
    for line in mask_lines(found, example, predictors, terminal(), None if whole else SHOWN):
        click.echo(line)


def first_to_predict(found: Preview) -> Example:
    """The first example in which there is something to see; the very first where there is none."""
    needed = found.recipe.jepa.horizon + 1
    stepped = (example for example in found.examples if len(found.rows([example])[0].steps) >= needed)
    return next(stepped, found.examples[0])


def terminal() -> Look:
    """What the terminal at hand can show. Whether it is one for ASCII, who started us has found out."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    if os.environ.get("TUNEDECK_PLAIN", "0") not in ("", "0"):
        return Look(width=UNBROKEN, words=True)
    return Look(
        width=max(NARROWEST, shutil.get_terminal_size().columns),
        ascii=os.environ.get("TUNEDECK_ASCII", "0") != "0",
        colour=sys.stdout.isatty() and not plain,
    )


def mask_lines(
    found: Preview, example: Example, predictors: tuple[int, ...], look: Look, shown: int | None
) -> list[str]:
    """All there is to see of an example, for each number of predictors."""
    recipe, block = found.recipe, found.recipe.jepa
    [row] = found.rows([example])
    views = views_of(found.tokenizer, found.spec, [example]) if block.mode == "text_code" else {}
    steps = recipe.steps.pattern or recipe.steps.splitter
    named = [f"job {found.job}   (--job also takes {', '.join(found.others)})"] if found.others else []
    lines = [
        *named,
        f"{example.id}: {len(row.input_ids)} tokens, steps: {len(row.steps)}",
        f"tokenizer {found.base}   steps {steps}   mode {block.mode}   horizon {block.horizon}",
        f"target {block.target}   readout {block.readout}   control {block.control}",
    ]
    for number, count in enumerate(_counts(block, predictors)):
        sized = block.model_copy(update={"predictors": count})
        packed = Packing(sized, recipe.seed, views).full(row, 0)
        lines += ["", *_packed_lines(found, row, packed, look, shown, sized.tokens, first=number == 0)]
    return lines


def _counts(block: JepaBlock, predictors: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of predictors to show; one is enough where the recipe has none in the row."""
    has_tokens = block.model_copy(update={"predictors": 1}).tokens > 0 and block.mode != "regular"
    return (predictors or DEFAULT_PREDICTORS) if has_tokens else (0,)


def _packed_lines(
    found: Preview, row: SteppedRow, packed: PackedRow, look: Look, shown: int | None, k: int, *, first: bool
) -> list[str]:
    blocks = blocks_of(row, packed)
    texts = token_texts(found.tokenizer, packed, look)
    # The original is the same for any number of predictors, unless it is itself what is read.
    listed = blocks if first else [block for block in blocks if block.start >= len(row.input_ids)]
    return [
        _counted(row, packed, k),
        *_read(packed),
        "",
        *sequence(packed, listed, texts, look, shown),
        "",
        *(
            who_sees_whom(packed, blocks)
            if look.words
            else [*matrix(packed, blocks, look), "", *picture(packed, blocks, look)]
        ),
    ]


def _counted(row: SteppedRow, packed: PackedRow, k: int) -> str:
    own, count = len(row.input_ids), len(packed.input_ids)
    predictors = sum(predictor >= 0 for predictor in packed.predictors)
    parts = f"{own} tokens + {predictors} predictors + {count - own - predictors} copied = {count}"
    return f"K={k}: {parts} ({count / own:.2f}x), pairs: {len(packed.pairs)}"


def _read(packed: PackedRow) -> list[str]:
    """What predicts what, by the places of the tokens."""
    lines = []
    for pair in packed.pairs:
        target, start = pair.target, "" if pair.origin is None else f"{pair.origin} to "
        places = (
            str(target.start) if target.end == target.start + 1 else f"{target.start} to {target.end - 1}"
        )
        step = f" (step {target.step})" if target.step else ""
        lines.append(f"  the state at {start}{pair.source} predicts that at {places}{step}")
    return lines or ["  nothing is predicted: this row is trained on as in ordinary fine-tuning"]
