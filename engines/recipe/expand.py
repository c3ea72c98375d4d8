"""From a recipe file to the jobs it stands for, every mistake in it reported at once.

A file is a single job (`engine:` and its fields) or a pipeline (`jobs:`, a map of names to such bodies). `defaults:`
merge under every job, a key at a time, wherever the job's engine has that key. `matrix:` makes one job a cell.
`eval:` on a job that trains a model adds an evaluation of it. `{from: job}` takes another job's output.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.recipe.blocks import BaseRecipe
from engines.recipe.cells import MAX_JOBS, NAME, Cell, cells_of, keys_of, put, schema_of
from engines.recipe.document import Document, KeyPath, parse_value, read_document
from engines.recipe.errors import InvalidRecipeError, RecipeError
from engines.recipe.experiment import EXPERIMENT_KEYS, ExperimentBlock, experiment_of
from engines.recipe.links import check_names, in_order, link
from engines.recipe.report import Report
from engines.recipe.schemas import ENGINES, recipe_class
from engines.recipe.wording import nearest

PIPELINE_KEYS = ("name", *EXPERIMENT_KEYS, "defaults", "jobs")


@dataclass(frozen=True)
class JobPlan:
    """One job to be queued. `needs` pairs the name of another job with its alias in the recipe (None: only waits)."""

    name: str
    engine: str
    recipe: BaseRecipe
    needs: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Plan:
    """A recipe file, checked and expanded. Jobs stand after those that they need."""

    name: str
    file: str
    text: str
    jobs: tuple[JobPlan, ...]
    experiment: ExperimentBlock = field(default_factory=ExperimentBlock)
    """What is said about all of them together."""


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Reads, checks and expands a recipe file. `overrides` are `--set` arguments: `dotted.key=value`."""
    return expand(read_document(path), default_name=path.stem, overrides=overrides)


def expand(document: Document, default_name: str = "recipe", overrides: Sequence[str] = ()) -> Plan:
    """The jobs of a parsed recipe. Raises InvalidRecipeError with everything that is wrong."""
    report = Report(document)
    data = overridden(document.data, overrides)
    name = str(data.get("name", default_name)) if isinstance(data, dict) else default_name
    if not NAME.fullmatch(name):
        report.add(("name",), f"`{name}` is not a name", "use letters, digits, `-`, `_` and `.`")
    experiment = experiment_of(data, report)
    bodies, defaults = _bodies(data, name, report)
    cells: list[Cell] = []
    for job, (path, body) in bodies.items():
        check_names(job, path, body, list(bodies), report)
        cells += cells_of(job, path, body, defaults, report)
    _check_defaults(defaults, [body for _, body in bodies.values()], report)
    link(cells, report)
    if len(cells) > MAX_JOBS:
        text = f"makes {len(cells):,} jobs; at most {MAX_JOBS:,} are allowed"
        report.add(("jobs",), text, "split the recipe")
    if experiment.cron is not None and any(cell.recipe.at for cell in cells):
        report.add(("cron",), "a recipe has `cron`, or jobs with `at`, and not both", "leave one of them out")
    # A job that is wrong has no cell, and what needs it would look like a circle.
    ordered = cells if report.problems else in_order(cells, report)
    if report.problems:
        raise InvalidRecipeError(document.file, report.problems)
    jobs = tuple(JobPlan(cell.name, cell.engine, cell.recipe, tuple(cell.links)) for cell in ordered)
    return Plan(name, document.file, document.text, jobs, experiment)


def _bodies(
    data: Any, name: str, report: Report
) -> tuple[dict[str, tuple[KeyPath, dict[str, Any]]], dict[str, Any]]:
    """The bodies of the jobs by name, each with its path in the file, and the defaults."""
    if not isinstance(data, dict):
        report.add((), "is not a mapping", "a recipe has `engine:` or `jobs:`")
        return {}, {}
    if "jobs" not in data:
        if "engine" in data:
            ours = {key: value for key, value in data.items() if key not in ("name", *EXPERIMENT_KEYS)}
            return {name: ((), ours)}, {}
        hint = f"add `engine:` with one of {', '.join(ENGINES)}, or a map of jobs under `jobs:`"
        report.add((), "has neither `engine:` nor `jobs:`", hint)
        return {}, {}
    for key in data:
        if key not in PIPELINE_KEYS:
            allowed = ", ".join(PIPELINE_KEYS)
            report.add((key,), f"unknown key; allowed: {allowed}", nearest(key, PIPELINE_KEYS))
    jobs, defaults = data["jobs"], data.get("defaults") or {}
    if not isinstance(defaults, dict):
        report.add(("defaults",), "must be a mapping of keys to values")
        defaults = {}
    if not isinstance(jobs, dict) or not jobs:
        report.add(("jobs",), "must be a mapping of job names to their recipes, with one job at least")
        return {}, defaults
    return {str(job): (("jobs", job), body) for job, body in jobs.items()}, defaults


def _check_defaults(defaults: dict[str, Any], bodies: list[Any], report: Report) -> None:
    """A default that no job can take is a mistake, most often in its spelling."""
    schemas = [schema for body in bodies if (schema := schema_of(body, defaults))]
    if any(_evaluates(body, defaults) for body in bodies):
        schemas.append(recipe_class("eval"))
    known = {key for schema in schemas for key in keys_of(schema)}
    for key in defaults:
        if schemas and key not in known:
            report.add(("defaults", key), "no job here has this key", nearest(key, known))


def _evaluates(body: Any, defaults: dict[str, Any]) -> bool:
    """Whether a job adds an evaluation of what it trains; that one takes its defaults from the file too."""
    schema = schema_of(body, defaults)
    asked = body.get("eval", defaults.get("eval")) if isinstance(body, dict) else None
    return asked not in (None, False) and schema is not None and "eval" in keys_of(schema)


def overridden(data: Any, overrides: Sequence[str]) -> Any:
    """A copy of a recipe's data with `--set` arguments applied. Raises RecipeError where one cannot be."""
    data = copy.deepcopy(data)
    if isinstance(data, dict):
        for override in overrides:
            _override(data, override)
    return data


def _override(data: dict[str, Any], override: str) -> None:
    """Applies one `--set`. In a pipeline, a key outside of `jobs.` is a default."""
    key, equals, text = override.partition("=")
    parts = key.split(".")
    if not equals or not all(parts):
        raise RecipeError(f"--set {override}: is not of the form `key=value`", hint="--set jobs.prep.seed=7")
    try:
        override.encode()
        value = parse_value(text)
    except (RecipeError, UnicodeEncodeError) as error:
        raise RecipeError(f"--set {override}: {text!r} is not a YAML value", hint="quote it") from error
    if "jobs" in data and parts[0] not in PIPELINE_KEYS:
        parts = ["defaults", *parts]
    if parts[0] == "jobs":
        known = list(data["jobs"]) if isinstance(data.get("jobs"), dict) else []
        if len(parts) < 3 or parts[1] not in known:
            hint = nearest(parts[1] if len(parts) > 1 else "", known) or "--set jobs.NAME.KEY=VALUE"
            raise RecipeError(f"--set {override}: names no job; the jobs are: {', '.join(known)}", hint=hint)
    put(data, parts, value)
