"""Reasoning traces: the first right solution that a model finds to each training question, as data to train on.

Attempts are made in waves, the second only at what the first left unsolved, and all of them are kept in
`attempts.jsonl`. A trace must be right, in the format, finished, and have reasoning; what to do with a question without
one is the recipe's to say, and every row says where it comes from.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from engines.pruning.trace_fields import TracesRecipe
from engines.run import Run, write_whole
from engines.tasks.example import Example

if TYPE_CHECKING:
    from engines.pruning.attempts import Attempt


class Recipe(TracesRecipe):
    """A model's own right solutions to training questions, as a file that `sft` trains on."""

    outputs: ClassVar[tuple[str, ...]] = ("traces",)

    engine: Literal["traces"]


def resume_step(run: Run) -> int | None:
    """Metrics count attempts, and those in the journal are not made again."""
    from engines.pruning.attempts import journaled

    return journaled(run.dir) or None


def run(recipe: Recipe, run: Run) -> None:
    """Load, attempt in waves, fall back, write."""
    from engines.generation.open import open_generator
    from engines.modeling.loading import choose_device, load_tokenizer
    from engines.prompts.rendering import render_prompt, resolve_prefill
    from engines.pruning.attempts import Journal
    from engines.pruning.search import Search
    from engines.recipe.errors import RecipeError
    from engines.tasks.loading import training_examples
    from engines.training.budget import Meter

    for text in recipe.remarks():
        run.events.message(text, "warning")
    meter = Meter(run.dir)
    examples = training_examples(recipe.task, recipe.num_samples, run.seed)
    tokenizer = load_tokenizer(recipe.model, run)
    spec = resolve_prefill(tokenizer, recipe.prompt)
    journal = Journal(run.dir)
    search = Search(recipe, run, spec, lambda text: render_prompt(tokenizer, spec, text), journal, meter)
    for attempt in journal.read(examples, spec).values():
        search.add(attempt)
    device = choose_device(recipe.device)
    generator = open_generator(recipe.model, recipe.generation, run, tokenizer=tokenizer, device=device)
    try:
        for number in range(1, recipe.max_attempts + 1):
            search.wave(generator, examples, number, hinted=False)
        if recipe.fallback == "rationalize":
            search.wave(generator, examples, 1, hinted=True)
    finally:
        generator.close()
        meter.save()
    if run.stopped_early:
        return

    rows = [row for example in examples if (row := search.row(example)) is not None]
    if not rows:
        raise RecipeError(
            f"none of {len(examples)} questions was solved in {recipe.max_attempts} attempts, so there are no traces",
            hint="start from a model that knows the format, raise `max_attempts`, or use `fallback: gold`",
        )
    _write(recipe, run, examples, rows, list(search.attempts.values()), meter.budget.seconds)
    meter.budget.prompts = len(examples)
    meter.budget.completions = len(search.attempts)
    meter.budget.generated_tokens = sum(attempt.tokens for attempt in search.attempts.values())
    meter.budget.emit(run.events)


def _write(
    recipe: Recipe,
    run: Run,
    examples: Sequence[Example],
    rows: Sequence[dict[str, Any]],
    attempts: "Sequence[Attempt]",
    seconds: float,
) -> None:
    """The file, then its statistics: whoever finds those finds all of the file."""
    from engines.modeling.sources import resolve, weights_hash
    from engines.pruning.trace_statistics import trace_statistics
    from engines.tasks.grading import VERSION
    from engines.training.rows import STATISTICS_SUFFIX

    source = resolve(recipe.model, run)
    sources = {row["id"]: row["source"] for row in rows}
    statistics = {
        **trace_statistics(examples, attempts, sources, recipe.max_attempts),
        "rows": len(rows),
        "wall_s": seconds,
        "adapter_sha": weights_hash(source.adapter or Path(source.weights)),
        "prompt_hash": recipe.prompt.hash(),
        "parser_version": VERSION,
        "seed": run.seed,
    }
    same, own = statistics["same_as_gold"], sum(source != "gold" for source in sources.values())
    if same:
        run.events.message(
            f"{same} of {own} of the model's solutions are word for word the task's own: where it has seen these before, "
            "training on them adds nothing",
            "warning",
        )
    write_whole(run.dir / recipe.output_file, "".join(json.dumps(row) + "\n" for row in rows))
    beside = recipe.output_file + STATISTICS_SUFFIX
    write_whole(run.dir / beside, json.dumps(statistics, indent=2) + "\n")
    for name in ("success_rate", "avg_attempts_overall", "distinct_ratio", "overlap_with_gold"):
        run.events.emit("score", name=name, value=statistics[name], fields={})
    for name, path in (
        ("traces", recipe.output_file),
        ("statistics", beside),
        ("attempts", "attempts.jsonl"),
    ):
        run.events.emit("artifact", name=name, path=path)
