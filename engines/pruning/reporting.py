"""What a job of rounds tells: the scores of each round under names of its own, and those of its result as an evaluation."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from engines.pruning import round_files as files
from engines.pruning.result import leave_model
from engines.pruning.round_fields import RoundsRecipe
from engines.run import Run
from engines.tasks.example import Example
from engines.tasks.grading import GRADERS
from engines.tasks.protocol import protocol
from engines.training.budget import Budget
from engines.training.record import RECORD, versions

FROM_THINKING = ("yield", "rows", "distinct", "distinct_right")


def report_round(run: Run, number: int, *, fresh: bool) -> None:
    """The scores of a round; once more after a resume, where the newest report of a name counts."""
    emit = run.events.emit
    scores = files.scores_of(run.dir, number)
    for name, score in scores.items():
        emit("score", name=f"r{number}/{name}", value=score["value"], fields=score["fields"])
    for name, value in files.statistics_of(run.dir, number).items() if number else ():
        if name in FROM_THINKING or name.startswith("pass@"):
            emit(
                "score",
                name=f"r{number}/train_{name}" if "@" in name else f"r{number}/{name}",
                value=value,
                fields={},
            )
    if fresh:
        shown = ("strict", "robust", "dev_strict", "dev_robust")
        values = {name: float(scores[name]["value"]) for name in shown}
        on_dev = {name: values[name] for name in ("dev_strict", "dev_robust")}
        run.events.metrics(files.steps_up_to(run.dir, number), on_dev)
        run.events.message(f"round {number}: " + ", ".join(f"{name} {values[name]:.1%}" for name in shown))


def leave_result(
    recipe: RoundsRecipe, run: Run, reported: Sequence[Example], budget: Budget, about: dict[str, Any]
) -> None:
    """The best round's model becomes the job's, and its scores those of an evaluation of it."""
    trained = [number for number in files.evaluated(run.dir) if number > 0]
    on_dev = {number: files.scores_of(run.dir, number)["dev_robust"]["value"] for number in trained}
    best = max(trained, key=lambda number: (on_dev[number], -number))
    result = best if recipe.result == "best" else trained[-1]
    directory = files.round_dir(run.dir, result)
    leave_model(directory / "model", run.model)
    asked = protocol(recipe.task, recipe.evaluation.split, reported, recipe.prompt, recipe.greedy)
    for row in files.read_rows(directory / files.GREEDY):
        run.events.emit("example", key=row.key, fields=asdict(row))
    for name, score in files.scores_of(run.dir, result).items():
        fields = score["fields"] | ({"protocol": asked} if name in GRADERS else {})
        run.events.emit("score", name=name, value=score["value"], fields=fields)
    run.events.message(f"the model is that of round {result}, of {len(trained)} that were trained")
    _count(recipe, run, trained, budget)
    budget.emit(run.events)
    rounds = {number: files.statistics_of(run.dir, number) for number in trained}
    record = {**about, "result": result, "rounds": rounds, "budget": asdict(budget), "versions": versions()}
    files.write_json(run.dir / RECORD, record)
    for name, path in (("model", "model"), ("run", RECORD)):
        run.events.emit("artifact", name=name, path=path)


def _count(recipe: RoundsRecipe, run: Run, trained: Sequence[int], budget: Budget) -> None:
    """What was generated to learn from, in every round that thought, and what was trained."""
    names = (files.SAMPLES, files.HINTED)
    paths = [
        files.round_dir(run.dir, number) / name for number in range(1, recipe.rounds + 1) for name in names
    ]
    rows = [row for path in paths if path.is_file() for row in files.read_rows(path)]
    records = [files.read_json(files.round_dir(run.dir, number) / RECORD) for number in trained]
    budget.prompts, budget.completions = len({row.example_id for row in rows}), len(rows)
    budget.generated_tokens = sum(row.tokens for row in rows)
    budget.trained_tokens = sum(record["trained_tokens"] for record in records)
    budget.steps = sum(record["steps"] for record in records)
