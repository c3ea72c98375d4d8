"""What every verb is asked about: a recipe, and which of its jobs is meant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from engines.recipe.errors import RecipeError
from engines.recipe.expand import JobPlan, Plan, load_recipe


@dataclass(frozen=True)
class Request:
    """A recipe as it was expanded, and the job in it."""

    plan: Plan
    job: JobPlan


def verb(function: Callable[..., None]) -> click.Command:
    """A command about one job of an engine; the function gets a Request first, and its own options by name."""

    @click.argument("recipe", type=click.Path(path_type=Path))
    @click.option(
        "--job", metavar="NAME", help="Which job of the recipe; by default the first of this engine."
    )
    @click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help="Override a value, e.g. `jobs.a.seed=7`.",
    )
    @wraps(function)
    def command(recipe: Path, job: str | None, overrides: tuple[str, ...], **options: Any) -> None:
        engine = click.get_current_context().obj
        function(request(recipe, engine, job, overrides), **options)

    return click.command(context_settings={"help_option_names": ["-h", "--help"]})(command)


def request(recipe: Path, engine: str, job: str | None = None, overrides: Sequence[str] = ()) -> Request:
    """The job of `engine` that is named, or the first. Raises RecipeError where there is none."""
    plan = load_recipe(recipe, overrides)
    own = [one for one in plan.jobs if one.engine == engine]
    if not own:
        raise RecipeError(
            f"{recipe}: has no job of engine `{engine}`",
            hint=f"its jobs are: {', '.join(f'{one.name} ({one.engine})' for one in plan.jobs)}",
        )
    if job is None:
        return Request(plan, own[0])
    named = [one for one in own if one.name == job]
    if not named:
        raise RecipeError(
            f"--job: there is no job `{job}` of engine `{engine}`",
            hint=f"those there are: {', '.join(one.name for one in own)}",
        )
    return Request(plan, named[0])
