"""A worker's first look around: is it what was submitted? Data must be; where it runs may differ, and is noted."""

import json
from pathlib import Path
from typing import Any

from engines.events import EventWriter
from engines.recipe.blocks import BaseRecipe
from engines.recipe.data_files import check_files
from engines.recipe.surroundings import differences, name_of, shortened, surroundings

RECORD = "environment.json"
"""In the run directory: the surroundings of the newest attempt."""


def environment_file(home: Path, name: str) -> Path:
    """A list of packages, kept once for all submissions that had it."""
    return home / "environments" / f"{name}.txt"


def look_around(recipe: BaseRecipe, run_dir: Path, events: EventWriter) -> None:
    """Notes where this attempt runs and what of that differs from the submission. RecipeError where data has changed."""
    try:
        submitted = json.loads((run_dir / "provenance.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        submitted = {}  # started without a queue, or by an older version
    here = surroundings()
    partial = run_dir / f"{RECORD}.partial"
    partial.write_text(json.dumps(here, indent=2) + "\n", encoding="utf-8")
    partial.replace(run_dir / RECORD)
    if said := differences(_complete(submitted, here, run_dir), here):
        events.message(f"runs elsewhere than it was submitted: {shortened(said)}")
    if data := submitted.get("data"):
        check_files(recipe, Path(submitted["cwd"]), data, lambda text: events.message(text, "warning"))


def _complete(submitted: dict[str, Any], here: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    """With the list of packages that the submission names; where it is the one of here, without reading it."""
    name = submitted.get("environment")
    if name is None:
        return submitted | {"packages": None}
    if name == name_of(here["packages"]):
        return submitted | {"packages": here["packages"]}
    try:
        lines = environment_file(run_dir.parent.parent, name).read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return submitted | {"packages": lines}
