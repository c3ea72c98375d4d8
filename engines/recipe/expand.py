"""From a recipe file to the jobs it stands for, every mistake in it reported at once.

A file is a single job (`engine:` and its fields) or a pipeline (`jobs:`, a map of names to such bodies). `defaults:`
merge under every job, a key at a time, wherever the job's engine has that key. `matrix:` makes one job a cell.
`eval:` on a job that trains a model adds an evaluation of it. `{from: job}` takes another job's output.
"""

import copy
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from engines.recipe.blocks import BaseRecipe, Block, EngineName
from engines.recipe.document import Document, KeyPath, parse_value, read_document
from engines.recipe.errors import InvalidRecipeError, Problem, RecipeError
from engines.recipe.wording import explain, nearest

ENGINES: tuple[str, ...] = get_args(EngineName)
MAX_JOBS = 1000
PIPELINE_KEYS = ("name", "defaults", "jobs")
# Keys of a job's body that are about the graph of jobs, and not the engine's.
GRAPH_KEYS = ("needs", "matrix", "eval")
# What an evaluation after training takes over from the job it evaluates.
INHERITED_BY_EVAL = ("task", "prompt", "device", "resources", "priority")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


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


@dataclass
class _Cell:
    """A job of the matrix before its links are resolved."""

    name: str
    of: str  # the job's name in the file
    values: dict[str, Any]  # its matrix cell
    recipe: BaseRecipe
    needs: list[str]
    path: KeyPath
    links: list[tuple[str, str | None]] = field(default_factory=list)


def recipe_class(engine: str) -> type[BaseRecipe]:
    """The schema of an engine. Imports that one engine's module, which is light."""
    schema: type[BaseRecipe] = import_module(f"engines.{engine}").Recipe
    return schema


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Reads, checks and expands a recipe file. `overrides` are `--set` arguments: `dotted.key=value`."""
    return expand(read_document(path), default_name=path.stem, overrides=overrides)


def expand(document: Document, default_name: str = "recipe", overrides: Sequence[str] = ()) -> Plan:
    """The jobs of a parsed recipe. Raises InvalidRecipeError with everything that is wrong."""
    return _Expansion(document, overrides).plan(default_name)


class _Expansion:
    def __init__(self, document: Document, overrides: Sequence[str]) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.schemas: set[type[BaseRecipe]] = set()
        self.job_names: list[str] = []
        self.data = copy.deepcopy(document.data)
        if isinstance(self.data, dict):
            for override in overrides:
                self._override(override)

    def plan(self, default_name: str) -> Plan:
        bodies, defaults = self._shape(default_name)
        self.job_names = list(bodies)
        name = self.data.get("name", default_name) if isinstance(self.data, dict) else default_name
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self._problem(("name",), f"`{name}` is not a name", "use letters, digits, `-`, `_` and `.`")
        used_defaults: set[str] = set()
        cells: list[_Cell] = []
        for job, (path, body) in bodies.items():
            cells += self._cells(job, path, body, defaults, used_defaults)
        self._check_defaults(defaults, used_defaults)
        by_job: dict[str, list[_Cell]] = {}
        for cell in cells:
            by_job.setdefault(cell.of, []).append(cell)
        for cell in cells:
            self._link(cell, by_job)
        ordered = self._order(cells)
        if self.problems:
            raise InvalidRecipeError(self.document.file, self.problems)
        jobs = tuple(
            JobPlan(cell.name, str(cell.recipe.model_dump()["engine"]), cell.recipe, tuple(cell.links))
            for cell in ordered
        )
        return Plan(str(name), self.document.file, self.document.text, jobs)

    def _shape(self, default_name: str) -> tuple[dict[str, tuple[KeyPath, dict[str, Any]]], dict[str, Any]]:
        """The bodies of the jobs by name, each with its path in the file, and the defaults."""
        data = self.data
        if not isinstance(data, dict):
            self._problem((), "is not a mapping", "a recipe has `engine:` or `jobs:`")
        elif "jobs" not in data:
            if "engine" in data:
                name = str(data.get("name", default_name))
                return {name: ((), {key: value for key, value in data.items() if key != "name"})}, {}
            hint = f"add `engine:` with one of {', '.join(ENGINES)}, or a map of jobs under `jobs:`"
            self._problem((), "has neither `engine:` nor `jobs:`", hint)
        else:
            for key in data:
                if key not in PIPELINE_KEYS:
                    self._problem(
                        (key,),
                        f"unknown key; allowed: {', '.join(PIPELINE_KEYS)}",
                        nearest(key, PIPELINE_KEYS),
                    )
            jobs, defaults = data["jobs"], data.get("defaults") or {}
            if not isinstance(defaults, dict):
                self._problem(("defaults",), "must be a mapping of keys to values")
                defaults = {}
            if not isinstance(jobs, dict) or not jobs:
                self._problem(
                    ("jobs",), "must be a mapping of job names to their recipes, with one job at least"
                )
                return {}, defaults
            return {str(name): (("jobs", name), body) for name, body in jobs.items()}, defaults
        return {}, {}

    def _cells(
        self, job: str, path: KeyPath, body: Any, defaults: dict[str, Any], used_defaults: set[str]
    ) -> Iterator[_Cell]:
        if not _NAME.fullmatch(job):
            self._problem(path, f"`{job}` is not a job name", "use letters, digits, `-`, `_` and `.`")
            return
        if not isinstance(body, dict):
            self._problem(path, "must be a mapping with `engine:`")
            return
        engine = body.get("engine", defaults.get("engine"))
        if engine not in ENGINES:
            where = (*path, "engine")
            what = "is required" if engine is None else f"there is no engine `{engine}`"
            self._problem(
                where, f"{what}; the engines are: {', '.join(ENGINES)}", nearest(str(engine), ENGINES)
            )
            return
        schema = recipe_class(engine)
        self.schemas.add(schema)
        allowed = [*schema.model_fields, "needs", "matrix", *(["eval"] if "model" in schema.outputs else [])]
        applicable = {key: value for key, value in defaults.items() if key in allowed}
        used_defaults.update(applicable)
        body = _merged(applicable, body)
        matrix, needs = body.pop("matrix", None), body.pop("needs", [])
        if not isinstance(needs, list) or not all(isinstance(name, str) for name in needs):
            self._problem((*path, "needs"), "must be a list of job names", "needs: [prep]")
            needs = []
        evaluation = body.pop("eval", None) if "eval" in allowed else None
        self._check_names(job, path, body, needs)
        for values in self._matrix(matrix, (*path, "matrix")):
            cell_body = copy.deepcopy(body)
            for key, value in values.items():
                _put(cell_body, key.split("."), value)
            name = job + (f"[{','.join(f'{k}={_word(v)}' for k, v in values.items())}]" if values else "")
            recipe = self._validated(schema, cell_body, path, values)
            if recipe is not None:
                yield _Cell(name, job, values, recipe, needs, path)
            if evaluation not in (None, False):
                yield from self._evaluation(evaluation, name, job, cell_body, path, values)

    def _evaluation(
        self,
        evaluation: Any,
        name: str,
        job: str,
        body: dict[str, Any],
        path: KeyPath,
        values: dict[str, Any],
    ) -> Iterator[_Cell]:
        where = (*path, "eval")
        if evaluation is not True and not isinstance(evaluation, dict):
            self._problem(where, "must be `true` or a mapping of fields of the `eval` engine")
            return
        inherited = {key: body[key] for key in INHERITED_BY_EVAL if key in body}
        own = {} if evaluation is True else evaluation
        eval_body = _merged(inherited, own) | {"engine": "eval", "model": {"from": name}}
        recipe = self._validated(recipe_class("eval"), eval_body, where, {}, inherited_from=path)
        if recipe is not None:
            yield _Cell(f"{name}/eval", f"{job}/eval", values, recipe, [], where)

    def _matrix(self, matrix: Any, path: KeyPath) -> Iterator[dict[str, Any]]:
        if matrix is None:
            yield {}
            return
        if not isinstance(matrix, dict) or not matrix:
            self._problem(path, "must map keys to lists of values", "matrix: {seed: [1, 2, 3]}")
            return
        size = 1
        for key, values in matrix.items():
            if not isinstance(values, list) or not values:
                self._problem((*path, key), "must be a list with one value at least", f"{key}: [1, 2]")
                return
            if len({repr(value) for value in values}) < len(values):
                self._problem((*path, key), "has a value twice")
                return
            size *= len(values)
        if size > MAX_JOBS:
            self._problem(path, f"makes {size:,} jobs; at most {MAX_JOBS:,} are allowed", "split the sweep")
            return
        for values in itertools.product(*matrix.values()):
            yield dict(zip(matrix, values, strict=True))

    def _validated(
        self,
        schema: type[BaseRecipe],
        body: dict[str, Any],
        path: KeyPath,
        values: dict[str, Any],
        inherited_from: KeyPath | None = None,
    ) -> BaseRecipe | None:
        try:
            return schema.model_validate(body)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                location = tuple(part for part in detail["loc"])
                cell_key = next((k for k in values if ".".join(map(str, location)).startswith(k)), None)
                candidates: list[KeyPath] = [(*path, "matrix", cell_key)] if cell_key else []
                candidates += [(*path, *location), ("defaults", *location)]
                if inherited_from is not None:
                    candidates.insert(1, (*inherited_from, *location))
                text, hint = explain(schema, detail)
                self._problem((*path, *location), text, hint, self._line(candidates))
            return None

    def _check_names(self, job: str, path: KeyPath, body: dict[str, Any], needs: list[str]) -> None:
        """Every job that is named exists, looked up before anything else about the body is known to be right."""
        for where, name in [*_raw_sources(body), *[(("needs",), name) for name in needs]]:
            known = [other for other in self.job_names if other != job]
            if name == job:
                self._problem((*path, *where), f"job `{name}` cannot need itself")
            elif re.split(r"[\[/]", name)[0] not in self.job_names:
                others = ", ".join(known) or "none"
                self._problem(
                    (*path, *where),
                    f"there is no job `{name}`; the others are: {others}",
                    nearest(name, known),
                )

    def _link(self, cell: _Cell, by_job: dict[str, list[_Cell]]) -> None:
        """Resolves `needs` and every `{from: job}` to cells."""
        taken = [(block.from_, type(block), where) for block, where in _sources(cell.recipe)]
        for name, kind, where in [*taken, *[(name, None, ("needs",)) for name in cell.needs]]:
            path = (*cell.path, *where)
            if kind is None and name in by_job:
                cell.links += [
                    (other.name, None) for other in _compatible(cell, by_job[name]) or by_job[name]
                ]
                continue
            others = [other for other in itertools.chain(*by_job.values()) if other.name == name]
            others = others or _compatible(cell, by_job.get(name, []))
            if not others:
                if name in by_job or (name not in self.job_names and not self.problems):
                    self._problem(path, f"there is no job `{name}` with the same matrix values as this one")
                continue
            output = getattr(kind, "takes", None)
            if output and output not in others[0].recipe.outputs:
                engine = others[0].recipe.model_dump()["engine"]
                self._problem(
                    path, f"job `{name}` ({engine}) leaves no {output}", f"name a job that trains a {output}"
                )
            elif len(others) > 1:
                names = ", ".join(other.name for other in others[:4])
                hint = "give this job a matrix over the same keys, or evaluate each with `eval: true`"
                self._problem(path, f"job `{name}` stands for {len(others)} jobs ({names}, ...)", hint)
            else:
                cell.links.append((others[0].name, name))

    def _order(self, cells: list[_Cell]) -> list[_Cell]:
        """Jobs after those they need; a cycle is a problem."""
        if len(cells) > MAX_JOBS:
            self._problem(
                ("jobs",), f"makes {len(cells):,} jobs; at most {MAX_JOBS:,} are allowed", "split the recipe"
            )
        done: dict[str, _Cell] = {}
        left = list(cells)
        while left:
            ready = [cell for cell in left if all(needed in done for needed, _ in cell.links)]
            if not ready:
                names = ", ".join(dict.fromkeys(cell.of for cell in left))
                if not self.problems:
                    self._problem(
                        left[0].path, f"these jobs need each other in a circle: {names}", "break the circle"
                    )
                return cells
            done |= {cell.name: cell for cell in ready}
            left = [cell for cell in left if cell.name not in done]
        return list(done.values())

    def _check_defaults(self, defaults: dict[str, Any], used: set[str]) -> None:
        known = {key for schema in self.schemas for key in schema.model_fields} | set(GRAPH_KEYS)
        for key in defaults if self.schemas else ():
            if key not in used:
                self._problem(("defaults", key), "no job here has this key", nearest(key, known))

    def _override(self, override: str) -> None:
        key, equals, text = override.partition("=")
        parts = key.split(".")
        if not equals or not all(parts):
            raise RecipeError(
                f"--set {override}: is not of the form `key=value`", hint="--set jobs.prep.seed=7"
            )
        try:
            value = parse_value(text)
        except RecipeError as error:
            raise RecipeError(f"--set {override}: {text!r} is not a YAML value", hint="quote it") from error
        if "jobs" in self.data and parts[0] not in PIPELINE_KEYS:
            parts = ["defaults", *parts]
        if parts[0] == "jobs" and (len(parts) < 3 or parts[1] not in (self.data.get("jobs") or {})):
            known = list(self.data.get("jobs") or {})
            hint = nearest(parts[1] if len(parts) > 1 else "", known) or "--set jobs.NAME.KEY=VALUE"
            raise RecipeError(f"--set {override}: names no job; the jobs are: {', '.join(known)}", hint=hint)
        _put(self.data, parts, value)

    def _line(self, candidates: Sequence[KeyPath]) -> int | None:
        """The line of the longest known path: a missing or nested key is shown at its parent."""
        for candidate in candidates:
            if candidate in self.document.lines:
                return self.document.lines[candidate]
        for candidate in candidates:
            for end in range(len(candidate) - 1, 0, -1):
                if candidate[:end] in self.document.lines and candidate[:end] != ("defaults",):
                    return self.document.lines[candidate[:end]]
        return self.document.lines.get(())

    def _problem(self, path: KeyPath, text: str, hint: str = "", line: int | None = None) -> None:
        where = ".".join(str(part) for part in path)
        self.problems.append(Problem(line or self._line([path]), where, text, hint))


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` wins; mappings merge key by key."""
    result = copy.deepcopy(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else copy.deepcopy(value)
    return result


def _put(data: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = data.get(key)
        # `task: gsm8k` is short for `task: {name: gsm8k}`.
        data[key] = inner if isinstance(inner, dict) else {"name": inner} if key == "task" and inner else {}
        data = data[key]
    data[keys[-1]] = value


def _word(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _sources(block: Block, path: KeyPath = ()) -> Iterator[tuple[Any, KeyPath]]:
    """Every block inside that takes another job's output, with its path."""
    for name in type(block).model_fields:
        value = getattr(block, name)
        if isinstance(value, Block):
            if getattr(value, "from_", None) is not None:
                yield value, (*path, name, "from")
            yield from _sources(value, (*path, name))


def _raw_sources(body: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """The same in a body that is not validated yet."""
    if isinstance(body, dict):
        for key, value in body.items():
            if key == "from" and isinstance(value, str):
                yield (*path, key), value
            else:
                yield from _raw_sources(value, (*path, key))


def _compatible(cell: _Cell, others: list[_Cell]) -> list[_Cell]:
    """The cells that agree with this one on every matrix key that both have."""
    return [
        other
        for other in others
        if all(other.values[key] == value for key, value in cell.values.items() if key in other.values)
    ]
