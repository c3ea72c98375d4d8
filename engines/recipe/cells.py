"""From the body of a job to its cells: one for every combination of its matrix, and the evaluation of each."""

import copy
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from engines.recipe.blocks import BaseRecipe
from engines.recipe.document import KeyPath
from engines.recipe.merging import merged
from engines.recipe.report import Report
from engines.recipe.schemas import ENGINES, recipe_class
from engines.recipe.wording import explain, nearest

MAX_JOBS = 1000
# What an evaluation after training takes over from the job that it evaluates.
INHERITED_BY_EVAL = ("task", "prompt", "generation", "device", "resources", "priority", "group")
INHERITED_BY_ITS_MODEL = ("dtype", "attn_implementation")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass
class Cell:
    """One job, valid in itself. `links` are the jobs it needs, each with its alias in the recipe."""

    name: str
    of: str
    """The job's name in the file."""
    values: dict[str, Any]
    """Its combination of the matrix."""
    recipe: BaseRecipe
    needs: list[str]
    path: KeyPath
    links: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def engine(self) -> str:
        return str(self.recipe.model_dump(include={"engine"})["engine"])


def keys_of(schema: type[BaseRecipe]) -> set[str]:
    """What a body of this engine may hold: its fields, and the keys about the graph of jobs."""
    return {*schema.model_fields, "needs", "matrix", *(["eval"] if "model" in schema.outputs else [])}


def schema_of(body: Any, defaults: dict[str, Any]) -> type[BaseRecipe] | None:
    """The schema of the engine that a body names, if it names one."""
    engine = body.get("engine", defaults.get("engine")) if isinstance(body, dict) else None
    return recipe_class(engine) if engine in ENGINES else None


def cells_of(job: str, path: KeyPath, body: Any, defaults: dict[str, Any], report: Report) -> Iterator[Cell]:
    """The jobs that one body stands for. What is wrong with it goes to the report."""
    if not NAME.fullmatch(job):
        report.add(path, f"`{job}` is not a job name", "use letters, digits, `-`, `_` and `.`")
        return
    if not isinstance(body, dict):
        report.add(path, "must be a mapping with `engine:`")
        return
    schema = schema_of(body, defaults)
    if schema is None:
        engine = body.get("engine", defaults.get("engine"))
        what = "is required" if engine is None else f"there is no engine `{engine}`"
        hint = nearest(str(engine), ENGINES)
        report.add((*path, "engine"), f"{what}; the engines are: {', '.join(ENGINES)}", hint)
        return
    allowed = keys_of(schema)
    body = merged({key: value for key, value in defaults.items() if key in allowed}, body)
    matrix, needs = body.pop("matrix", None), body.pop("needs", [])
    if not isinstance(needs, list) or not all(isinstance(name, str) for name in needs):
        report.add((*path, "needs"), "must be a list of job names", "needs: [prep]")
        needs = []
    evaluation = body.pop("eval", None) if "eval" in allowed else None
    for values in _combinations(matrix, (*path, "matrix"), report):
        cell_body = copy.deepcopy(body)
        for key, value in values.items():
            put(cell_body, key.split("."), value)
        name = job + (f"[{','.join(f'{k}={_word(v)}' for k, v in values.items())}]" if values else "")
        recipe = _validated(schema, cell_body, path, values, report)
        if recipe is not None:
            yield Cell(name, job, values, recipe, needs, path)
        if evaluation not in (None, False):
            where, eval_fields = (*path, "eval"), recipe_class("eval").model_fields
            under = {key: value for key, value in defaults.items() if key in eval_fields}
            if evaluation is not True and not isinstance(evaluation, dict):
                report.add(where, "must be `true` or a mapping of fields of the `eval` engine")
                return
            own = {} if evaluation is True else evaluation
            eval_body = _evaluation(under, own, cell_body, name, job)
            recipe = _validated(recipe_class("eval"), eval_body, where, {}, report, inherited_from=path)
            if recipe is not None:
                yield Cell(f"{name}/eval", f"{job}/eval", values, recipe, [], where)


def _evaluation(
    defaults: dict[str, Any], own: dict[str, Any], trained: dict[str, Any], name: str, job: str
) -> dict[str, Any]:
    """The body of the evaluation of a job: defaults, what it takes over from the job, and its own fields."""
    inherited = {key: trained[key] for key in INHERITED_BY_EVAL if key in trained} | {"stage": job}
    block = trained.get("model")
    block = block if isinstance(block, dict) else {}
    model = {key: block[key] for key in INHERITED_BY_ITS_MODEL if key in block} | {"from": name}
    taken = merged(defaults, inherited)
    if isinstance(taken.get("resources"), dict):
        taken["resources"] = _of_one_process(taken["resources"])
    return merged(taken, own) | {"engine": "eval", "model": model}


def _of_one_process(resources: dict[str, Any]) -> dict[str, Any]:
    """What an evaluation takes over of a training on several GPUs, or of several processes: one."""
    alone = {key: value for key, value in resources.items() if key != "processes"}
    several = isinstance(alone.get("gpus"), int) and alone["gpus"] > 1
    return alone | {"gpus": 1} if several else alone


def _combinations(matrix: Any, path: KeyPath, report: Report) -> Iterator[dict[str, Any]]:
    if matrix is None:
        yield {}
        return
    if not isinstance(matrix, dict) or not matrix:
        report.add(path, "must map keys to lists of values", "matrix: {seed: [1, 2, 3]}")
        return
    size = 1
    for key, values in matrix.items():
        if not isinstance(values, list) or not values:
            report.add((*path, key), "must be a list with one value at least", f"{key}: [1, 2]")
            return
        if len({_word(value) for value in values}) < len(values):  # they would share a job's name
            report.add((*path, key), "has a value twice")
            return
        size *= len(values)
    if size > MAX_JOBS:
        report.add(path, f"makes {size:,} jobs; at most {MAX_JOBS:,} are allowed", "split the sweep")
        return
    for values in itertools.product(*matrix.values()):
        yield dict(zip(matrix, values, strict=True))


def _validated(
    schema: type[BaseRecipe],
    body: dict[str, Any],
    path: KeyPath,
    values: dict[str, Any],
    report: Report,
    inherited_from: KeyPath | None = None,
) -> BaseRecipe | None:
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            # Without the arms of unions (`list[literal['aime', ...]]`), which nobody wrote.
            location = [part for part in detail["loc"] if not (isinstance(part, str) and "[" in part)]
            dotted = ".".join(map(str, location))
            from_matrix = [(*path, "matrix", key) for key in values if dotted.startswith(key)]
            inherited = [(*inherited_from, *location)] if inherited_from is not None else []
            # Where the value may have come from, the likeliest place first.
            candidates = [*from_matrix, (*path, *location), *inherited, ("defaults", *location)]
            text, hint = explain(schema, detail)
            report.add((*path, *location), text, hint, report.line(candidates))
        return None


def put(data: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    """Sets a nested value, making the mappings on the way."""
    for key in keys[:-1]:
        inner = data.get(key)
        # `task: gsm8k` is short for `task: {name: gsm8k}`.
        data[key] = inner if isinstance(inner, dict) else {"name": inner} if key == "task" and inner else {}
        data = data[key]
    data[keys[-1]] = value


def _word(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
