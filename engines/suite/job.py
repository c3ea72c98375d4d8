"""An `eval` job over a suite: of one model, or of every checkpoint that a training job kept."""

import json
import time
from typing import Any, Protocol

from engines.events import EventWriter
from engines.generation.open import open_generator
from engines.modeling.loading import choose_device, load_tokenizer, model_context
from engines.recipe.blocks import (
    Device,
    GenerationBlock,
    SamplingBlock,
    Split,
    SteerableModelBlock,
    SuiteBlock,
)
from engines.run import Run, write_whole
from engines.sandbox import Layer, Sandbox, open_sandbox
from engines.suite.checkpoints import Checkpoint, checkpoints_of, training_rewards
from engines.suite.evaluate import answer_all, questions_of, report_scores, write_metrics
from engines.suite.evolution import Point, analyse
from engines.suite.journal import Question
from engines.suite.rows import SuiteRow
from engines.suite.summary import summarize_suite


class Recipe(Protocol):
    """What the `eval` engine's recipe has."""

    @property
    def stage(self) -> str: ...
    @property
    def model(self) -> SteerableModelBlock: ...
    @property
    def split(self) -> Split: ...
    @property
    def sampling(self) -> SamplingBlock: ...
    @property
    def generation(self) -> GenerationBlock: ...
    @property
    def device(self) -> Device: ...
    @property
    def checkpoints(self) -> str: ...


def evaluate(recipe: Recipe, suite: SuiteBlock, run: Run) -> None:
    """Answers, grades and scores of the model that the recipe names, or of every checkpoint of its job."""
    required = Layer[suite.require_sandbox] if suite.require_sandbox else None
    with open_sandbox(required) as sandbox:
        wanted = questions_of(suite, recipe.split, recipe.sampling)
        _say(wanted, sandbox, run)
        part = _checkpoints if recipe.checkpoints == "all" else _model
        run.stopped_early = not part(recipe, suite, wanted, sandbox, run)


def _model(recipe: Recipe, suite: SuiteBlock, wanted: list[Question], sandbox: Sandbox, run: Run) -> bool:
    """False where the job was asked to stop before the end."""
    began = time.monotonic()
    rows = _answers(recipe, suite, recipe.model, wanted, sandbox, run)
    if rows is None:
        return False
    scores = report_scores(rows, suite, recipe.split, recipe.sampling, run)
    write_metrics(run.dir / "metrics.json", recipe.stage, scores, began)
    for name in ("metrics.json", "samples", "grades"):
        run.events.emit("artifact", name=name.removesuffix(".json"), path=name)
    return True


def _checkpoints(
    recipe: Recipe, suite: SuiteBlock, wanted: list[Question], sandbox: Sandbox, run: Run
) -> bool:
    """Learning curves: every checkpoint answers the same questions, in a part of the run directory of its own."""
    trained = run.inputs[str(recipe.model.from_)]
    kept = checkpoints_of(trained)
    points: list[Point] = []
    for done, checkpoint in enumerate(kept):
        run.events.progress(done, len(kept), "checkpoint")
        part = _part(run, checkpoint)
        rows = _answers(recipe, suite, _block(recipe.model, checkpoint), wanted, sandbox, part)
        part.events.close()
        if rows is None:
            return False
        points.append(Point(checkpoint.epoch, rows))
        scores = {score.name: score.value for score in summarize_suite(rows)}
        shown = {n: v for n, v in scores.items() if "." not in n or n.startswith("domain.")}
        run.events.metrics(checkpoint.epoch, shown)
    run.events.progress(len(kept), len(kept), "checkpoint")
    found = analyse(points, training_rewards(trained))
    run.events.emit("score", name="evolution", value=found["best_epoch"], fields=found)
    for domain, one in found["domains"].items():
        run.events.emit("score", name=f"best_epoch.{domain}", value=one["best_epoch"])
        run.events.emit("score", name=f"regret.{domain}", value=one["regret_of_global_stop"])
    write_whole(run.dir / "evolution.json", json.dumps(found, indent=2) + "\n")
    run.events.emit("artifact", name="evolution", path="evolution.json")
    return True


def _answers(
    recipe: Recipe,
    suite: SuiteBlock,
    model: SteerableModelBlock,
    wanted: list[Question],
    sandbox: Sandbox,
    run: Run,
) -> list[SuiteRow] | None:
    tokenizer: Any = load_tokenizer(model, run)
    generator = open_generator(
        model, recipe.generation, run, tokenizer=tokenizer, device=choose_device(recipe.device)
    )
    try:
        context = model_context(model, run)
        return answer_all(wanted, suite, recipe.sampling, generator, tokenizer, sandbox, run, context)
    finally:
        generator.close()


def _part(run: Run, checkpoint: Checkpoint) -> Run:
    """A directory of its own, with its answers and grades, and events that are not the job's."""
    directory = run.dir / checkpoint.name
    directory.mkdir(exist_ok=True)
    return run.part(directory, EventWriter(directory))


def _block(model: SteerableModelBlock, checkpoint: Checkpoint) -> SteerableModelBlock:
    return model.model_copy(update={"from_": None, "base": str(checkpoint.path)})


def _say(wanted: list[Question], sandbox: Sandbox, run: Run) -> None:
    tasks = dict.fromkeys(question.task.name for question in wanted)
    questions = len({(question.task.name, question.item.uid) for question in wanted})
    run.events.message(
        f"{len(tasks)} tasks, {questions:,} questions, {len(wanted):,} answers; programs run behind {sandbox.label}"
    )
