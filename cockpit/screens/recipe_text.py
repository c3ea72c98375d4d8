"""The recipes at hand, and what one of them stands for: its jobs, how long they may take, its text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cockpit import library
from cockpit.estimates import past_runs, total_words
from cockpit.plain_text import plain_line, plain_lines
from cockpit.screens.job_text import yaml_lines
from cockpit.widgets.cells import Cell
from engines.recipe.errors import RecipeError
from engines.recipe.expand import Plan, load_recipe
from store.database import Database

_MOST_JOBS_SHOWN = 40


@dataclass(frozen=True)
class Preview:
    """A recipe in words; without a plan, what is wrong with it."""

    lines: list[list[Cell]]
    plan: Plan | None
    estimate: str = ""
    """How long all of it may take."""


def recipes_at_hand(own_folder: Path) -> dict[str, Path]:
    """By name: one's own of the home directory, those of the current directory, those that come with Tunedeck."""
    mine = {f"~{path.stem}": path for path in sorted(own_folder.glob("*.yaml"))}
    return {**mine, **_of_current_directory(), **library.bundled_recipes()}


def has_words(name: str, path: Path, words: Sequence[str]) -> bool:
    """Whether every word stands in the recipe's name or description."""
    if not words:
        return True
    try:
        text = f"{name} {library.describe(path)}".casefold()
    except OSError:
        text = name.casefold()
    return all(word in text for word in words)


def _of_current_directory() -> dict[str, Path]:
    """YAML files that look like recipes."""
    found = {}
    for path in sorted([*Path.cwd().glob("*.yaml"), *Path.cwd().glob("*.yml")]):
        if path.is_file() and any(key in _beginning(path) for key in ("engine:", "jobs:")):
            found[f"./{path.name}"] = path
    return found


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(20_000).decode("utf-8", "replace")
    except OSError:
        return ""


def preview(path: Path, database: Database, overrides: Sequence[str] = ()) -> Preview:
    """The jobs of a recipe, each with an estimate from past runs, and its text; or what is wrong with it."""
    try:
        plan = load_recipe(path, overrides)
        about = library.describe(path)
    except (RecipeError, OSError) as error:
        mistakes: list[list[Cell]] = [[(line, "")] for line in plain_lines(str(error))]
        return Preview([[("This recipe has mistakes:", "bad")], *mistakes], None)
    past, count = past_runs(database), len(plan.jobs)
    times = [
        past.estimate(job.engine, job.recipe.model_dump(mode="json", by_alias=True)) for job in plan.jobs
    ]
    estimate = total_words(times)
    lines: list[list[Cell]] = [
        [(f"{count} job{'s' if count != 1 else ''}", "strong"), (f"  {plain_line(about, 200)}", "muted")],
        [(estimate, "muted")],
        *(
            [[("changed here: ", "attention"), (plain_line("  ".join(overrides), 300), "")]]
            if overrides
            else []
        ),
    ]
    for job, known in list(zip(plan.jobs, times, strict=True))[:_MOST_JOBS_SHOWN]:
        needs = ", ".join(plain_line(name, 60) for name, _ in job.needs)
        lines.append(
            [
                (f"  {plain_line(job.name, 80)}", ""),
                (f"  {job.engine}", "accent"),
                (f"  after {needs}" if needs else "", "muted"),
                (f"  {known.words}" if known else "", "muted"),
            ]
        )
    if count > _MOST_JOBS_SHOWN:
        lines.append([(f"  and {count - _MOST_JOBS_SHOWN} more", "muted")])
    return Preview([*lines, [], *yaml_lines(plan.text)], plan, estimate)
