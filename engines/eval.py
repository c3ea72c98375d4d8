"""Evaluation: generate an answer to every question of a split, grade it five ways, and say how sure the score is.

Every completion goes out as an event as its batch finishes. Keys are stable, so a retry replaces what it redoes.
"""

import csv
import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import (
    BaseRecipe,
    GenerationBlock,
    SamplingBlock,
    Split,
    SteerableModelBlock,
    SuiteBlock,
    Task,
)
from engines.run import Run
from engines.tasks.grading import GRADERS, grade
from engines.tasks.scored import ScoredExample
from engines.tasks.summary import Score


class Recipe(BaseRecipe):
    """Accuracy of a model on a task."""

    engine: Literal["eval"]
    stage: str = Field("eval", pattern=r"^[A-Za-z0-9._-]+$")
    """What is evaluated (`base`, `prep`, `full`, ...): the first part of the names of the files in `debug/`."""
    model: SteerableModelBlock
    """The model to evaluate."""
    task: Task | None = None
    """The questions and their grading."""
    suite: SuiteBlock | None = None
    """Many tasks in one job, by domain, in place of `task`."""
    checkpoints: Literal["last", "all"] = "last"
    """`all`: with `suite` and `model.from`, every checkpoint that the job kept: learning curves and the best stop."""
    split: Split = "test"
    """`test` for results, `dev` for choosing between models, `train` to see what was memorised."""
    prompt: PromptSpec = PromptSpec()
    """How questions are put and answers are delimited; the same as in training."""
    sampling: SamplingBlock = SamplingBlock()
    """How answers are generated; greedy by default. Several samples add pass@k, avg@k and maj@k."""
    limit: int | None = Field(None, ge=1)
    """Only the first so many questions of the split. Null: all."""
    generation: GenerationBlock = GenerationBlock()
    """What generates the answers."""

    @model_validator(mode="before")
    @classmethod
    def _takes_a_suite_over_an_inherited_task(cls, data: Any) -> Any:
        # An evaluation after training inherits the training's task.
        return {key: value for key, value in data.items() if key != "task"} if _has_suite(data) else data

    @model_validator(mode="after")
    def _asks_something(self) -> "Recipe":
        if self.task is None and self.suite is None:
            raise ValueError("give a `task`, or a `suite` of many")
        if self.suite is None and self.checkpoints == "all":
            raise ValueError("`checkpoints: all` needs a `suite`")
        if self.checkpoints == "all" and self.model.from_ is None:
            raise ValueError(
                "`checkpoints: all` needs `model: {from: job}`, the job whose checkpoints to evaluate"
            )
        if self.suite is not None and (self.limit is not None or self.sampling.num_samples > 1):
            raise ValueError(
                "with a `suite`, `limit` is `suite.examples` and `sampling.num_samples` is `suite.samples`"
            )
        several = self.suite is not None and isinstance(self.suite.samples, int) and self.suite.samples > 1
        if several and self.sampling.temperature == 0:
            raise ValueError(
                "`suite.samples` above 1 needs `sampling.temperature` above 0: greedy answers are all the same"
            )
        return self


def _has_suite(data: Any) -> bool:
    return isinstance(data, dict) and data.get("suite") is not None


def run(recipe: Recipe, run: Run) -> None:
    """Load, generate and grade, report."""
    from engines.generation.open import open_generator
    from engines.generation.scoring import scored_batches
    from engines.modeling.loading import choose_device, load_tokenizer
    from engines.prompts.rendering import resolve_prefill
    from engines.tasks.loading import load_examples
    from engines.tasks.protocol import protocol as protocol_of
    from engines.tasks.summary import summarize

    if recipe.suite is not None:
        from engines.suite.job import evaluate

        evaluate(recipe, recipe.suite, run)
        return
    assert recipe.task is not None
    began = time.monotonic()
    examples = load_examples(recipe.task, recipe.split)[: recipe.limit]
    device = choose_device(recipe.device)
    tokenizer = load_tokenizer(recipe.model, run)
    generator = open_generator(recipe.model, recipe.generation, run, tokenizer=tokenizer, device=device)
    spec = resolve_prefill(tokenizer, recipe.prompt)
    total = len(examples) * recipe.sampling.num_samples
    run.events.progress(0, total, "example")

    scored: dict[int, ScoredExample] = {}
    for batch in scored_batches(generator, tokenizer, spec, examples, recipe.sampling, run.seed):
        for place, row in batch:
            scored[place] = row
            run.events.emit("example", key=row.key, fields=dataclasses.asdict(row))
        run.events.progress(len(scored), total, "example")
        if run.stop_requested and len(scored) < total:
            run.stopped_early = True
            return

    rows = [scored[place] for place in range(total)]
    scores = summarize(rows)
    protocol = protocol_of(recipe.task, recipe.split, examples, recipe.prompt, recipe.sampling)
    for figure in scores:
        fields = figure.fields | ({"protocol": protocol} if figure.name in GRADERS else {})
        run.events.emit("score", name=figure.name, value=figure.value, fields=fields)
    record = _record(recipe, run, protocol, scores, spec, time.monotonic() - began)
    _write_files(recipe, run, rows, scores, record, spec)


def _record(
    recipe: Recipe,
    run: Run,
    protocol: dict[str, Any],
    scores: list[Score],
    spec: PromptSpec,
    seconds: float,
) -> dict[str, Any]:
    """What `metrics.json` holds."""
    sampled = recipe.sampling.temperature > 0
    return {
        "stage": recipe.stage,
        "scores": {score.name: {"value": score.value, **score.fields} for score in scores},
        "protocol": protocol,
        "prefill": spec.prefill,
        "seed": run.seed if sampled else None,
        "model": recipe.model.model_dump(mode="json", by_alias=True),
        "wall_seconds": round(seconds, 3),
    }


def _write_files(
    recipe: Recipe,
    run: Run,
    rows: list[ScoredExample],
    scores: list[Score],
    record: dict[str, Any],
    spec: PromptSpec,
) -> None:
    debug = run.dir / "debug"
    debug.mkdir(exist_ok=True)
    table = debug / f"{recipe.stage}_{run.file_stem}.csv"
    text = debug / f"{recipe.stage}_{run.file_stem}_metrics.txt"
    _write_csv(table, rows, spec)
    text.write_text("".join(_lines(recipe, scores)), encoding="utf-8")
    (run.dir / "metrics.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    for name, path in (("examples_csv", table), ("metrics_txt", text), ("metrics", run.dir / "metrics.json")):
        run.events.emit("artifact", name=name, path=str(path.relative_to(run.dir)))


def _write_csv(path: Path, rows: list[ScoredExample], spec: PromptSpec) -> None:
    """One line a completion; `correct` goes by the robust grader, as `extracted_answer` does."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            line = {
                "question": row.question,
                "labeled_cot": row.gold_reasoning,
                "labeled_answer": row.gold,
                "generated_text": row.completion,
                "extracted_thinking": grade(row.completion, row.gold, spec, row.terminated).thinking or "",
                "extracted_answer": row.extracted or "",
                "correct": row.robust,
                "id": row.example_id,
                "sample": row.sample,
                "method": row.method,
                "strict": row.strict,
                "robust": row.robust,
                "openai_strict": row.openai_strict,
                "lm_eval_flexible": row.lm_eval_flexible,
                "tpt_strict": row.tpt_strict,
                "ambiguous": row.ambiguous,
                "terminated": row.terminated,
                "n_tokens": row.tokens,
                "thinking_tokens": row.thinking_tokens,
                "repeated_tag": row.repeated_tag,
            }
            if writer is None:
                writer = csv.DictWriter(file, line)
                writer.writeheader()
            writer.writerow(line)


def _lines(recipe: Recipe, scores: list[Score]) -> Iterator[str]:
    yield f"{recipe.stage}: {recipe.task.name if recipe.task else ''} {recipe.split}\n"
    for score in scores:
        if "low" in score.fields:
            low, high = score.fields["low"], score.fields["high"]
            interval = f"  (95 %: {low:.1%} to {high:.1%}, n = {score.fields['n']:.0f})"
            yield f"{score.name}: {score.value:.1%}{interval}\n"
        else:
            yield f"{score.name}: {score.value:.3f}\n"
