"""A recipe as a form: the fields of its jobs with their values, changes as `--set` has them, and copies of one's own."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.recipe.cells import schema_of
from engines.recipe.document import read_document, write_document
from engines.recipe.errors import RecipeError
from engines.recipe.expand import load_recipe, overridden
from engines.recipe.fields import RecipeField, as_yaml, fields_of
from engines.recipe.merging import merged

FOLDER = "recipes"
"""Of the home directory: recipes of one's own."""

_SHORT = {"task": "name", "traces": "path"}
"""Blocks that may be written as the one value of a key of theirs."""


@dataclass(frozen=True)
class FormRow:
    """A field of a job as it stands."""

    field: RecipeField
    value: str
    """As YAML in a line; the default where the recipe says nothing."""
    is_set: bool
    target: str | None
    """The key of its `--set`; None where only an editor can change it."""
    in_matrix: bool = False


def jobs_of_recipe(path: Path) -> list[str]:
    """The names of a recipe's jobs as the file has them; `` for a file that is one job. Raises RecipeError."""
    data = read_document(path).data
    return list(data["jobs"]) if isinstance(data, dict) and isinstance(data.get("jobs"), dict) else [""]


def form_rows(path: Path, job: str, overrides: Sequence[str]) -> list[FormRow]:
    """Every field of a job, those that are set first. Raises RecipeError where the file is none."""
    data = overridden(read_document(path).data, overrides)
    body, defaults = (data["jobs"][job], data.get("defaults") or {}) if job else (data, {})
    schema = schema_of(body, defaults)
    if schema is None:
        raise RecipeError(f"{path}: {job or 'the job'}: names no engine", hint="give it `engine:`")
    whole = merged(defaults, body)
    told = whole.get("matrix")
    matrix = told if isinstance(told, dict) else {}
    above = f"jobs.{job}." if job else ""
    rows = [_row(field, whole, matrix, above) for field in fields_of(schema)]
    return sorted(rows, key=lambda row: not row.is_set)


def _row(field: RecipeField, body: dict[str, Any], matrix: dict[str, Any], above: str) -> FormRow:
    if field.key in matrix:
        target = None if "." in field.key else f"{above}matrix.{field.key}"
        return FormRow(field, as_yaml(matrix[field.key]), True, target, in_matrix=True)
    found, value = _value_at(body, field.key.split("."))
    return FormRow(field, as_yaml(value) if found else field.default, found, f"{above}{field.key}")


def _value_at(body: Any, keys: Sequence[str]) -> tuple[bool, Any]:
    value, before = body, ""
    for key in keys:
        if isinstance(value, str) and _SHORT.get(before) == key:
            return True, value
        if not isinstance(value, dict) or key not in value:
            return False, None
        value, before = value[key], key
    return True, value


def problem_of(path: Path, overrides: Sequence[str]) -> tuple[str, int]:
    """What is wrong with a recipe so changed, in the words that `tunedeck check` has; and how many jobs it makes."""
    try:
        return "", len(load_recipe(path, overrides).jobs)
    except (RecipeError, OSError) as error:
        return str(error), 0


def copy_changed(path: Path, overrides: Sequence[str], folder: Path) -> Path:
    """Writes a recipe with its changes to a new file. Comments but the first line's are lost. Raises RecipeError, OSError."""
    data = overridden(read_document(path).data, overrides)
    with path.open(encoding="utf-8") as file:
        first = file.readline()
    text = (first if first.startswith("#") else "") + write_document(data)
    target = _new_name(folder, path)
    target.write_text(text, encoding="utf-8")
    return target


def copy_for_editing(path: Path, folder: Path) -> Path:
    """A copy in one's own folder; what is there already is edited where it is. Raises OSError."""
    if path.parent == folder:
        return path
    target = _new_name(folder, path)
    shutil.copyfile(path, target)
    target.chmod(0o600)
    return target


def _new_name(folder: Path, path: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, target = 1, folder / f"{path.stem}.yaml"
    while target.exists():
        number += 1
        target = folder / f"{path.stem}-{number}.yaml"
    return target
