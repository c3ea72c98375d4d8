"""Commands about recipes: submit, check, recipes, schema."""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cockpit import library
from cockpit.cli import output
from cockpit.cli.output import json_option, narrate, print_json
from cockpit.plain.mode import is_plain
from engines.recipe.blocks import Block
from engines.recipe.errors import RecipeError
from engines.recipe.expand import Plan, load_recipe
from engines.recipe.schemas import ENGINES, recipe_class, recipe_schema

if TYPE_CHECKING:
    from store.database import Database

overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a value, e.g. `jobs.prep.seed=7`.",
)


@click.command()
@click.argument("recipe")
@overrides_option
@click.option("--name", help="Name of the experiment; by default the recipe's.")
@click.option(
    "--priority", type=click.IntRange(-1000, 1000), help="Priority of all its jobs; higher runs first."
)
@click.option("--at", help="When they may start: `2026-12-24T18:00`, `22:30` or `+2h`.")
@click.option("--key", help="Queue this only once: the same key again prints the same job ids.")
@click.option("--hold", is_flag=True, help="Queue the jobs held; `tunedeck release` lets them go.")
@click.option(
    "--wait", is_flag=True, help="Show live progress until all jobs have ended; exits with their result."
)
@json_option
def submit(
    recipe: str,
    overrides: tuple[str, ...],
    name: str | None,
    priority: int | None,
    at: str | None,
    key: str | None,
    hold: bool,
    wait: bool,
    as_json: bool,
) -> int:
    """Queue RECIPE: a file, or the name of a bundled recipe. Prints the job ids, one a line.

    A recipe with `cron` becomes a schedule, which `tunedeck schedules` shows; nothing is queued until it is due.
    """
    from cockpit.control import start_daemon
    from cockpit.submission import submit_plan
    from store import machine
    from store.database import open_database

    plan = load_recipe(
        library.find_recipe(recipe), overrides
    )  # nothing, not even a home directory, is made for a recipe that is wrong
    if at is not None:
        _check_time(at)
    if plan.experiment.cron is not None:
        if wait or hold or key or at:
            raise click.UsageError(
                "a recipe with `cron` cannot be waited for, held, or given a key or a time"
            )
        return _schedule(open_database(), plan, overrides, priority, name, as_json)
    database = open_database()
    experiment_id, job_ids = submit_plan(
        database, plan, overrides=overrides, priority=priority, held=hold, name=name, at=at, key=key
    )
    narrate(f"experiment {experiment_id} ({name or plan.name}): {len(job_ids)} jobs queued")
    if as_json:
        rows = [
            {"id": i, "name": job.name, "engine": job.engine}
            for i, job in zip(job_ids, plan.jobs, strict=True)
        ]
        print_json({"experiment": experiment_id, "name": name or plan.name, "jobs": rows})
    elif is_plain():
        click.echo(f"their numbers: {', '.join(map(str, job_ids))}")
    else:
        for job_id in job_ids:
            click.echo(job_id)
    if not machine.daemon_is_running(database.home):
        if not wait:
            narrate("hint: no daemon is running; `tunedeck up` starts one")
            return 0
        narrate(f"started a daemon (pid {start_daemon(database)})")
    if not wait:
        return 0
    from cockpit.cli.live import watch

    return watch(database, job_ids)


def _check_time(at: str) -> None:
    from engines.recipe.times import time_of

    try:
        time_of(at, 0.0)
    except ValueError as error:
        raise click.UsageError(f"--at: {error}") from error


def _schedule(
    database: "Database",
    plan: Plan,
    overrides: tuple[str, ...],
    priority: int | None,
    name: str | None,
    as_json: bool,
) -> int:
    """Makes a schedule of a recipe with `cron`."""
    from cockpit.submission import schedule_plan
    from store import machine

    schedule = schedule_plan(database, plan, overrides=overrides, priority=priority, name=name)
    if as_json:
        print_json({"schedule": schedule.id, "name": schedule.name, "next_at": schedule.next_at})
    narrate(
        f"schedule {schedule.id} ({schedule.name}): {len(plan.jobs)} jobs at `{schedule.cron}`,"
        f" next {output.moment(schedule.next_at)}"
    )
    if not machine.daemon_is_running(database.home):
        narrate("hint: no daemon is running; `tunedeck up` starts one")
    return 0


@click.command()
@click.argument("recipe")
@overrides_option
@json_option
def check(recipe: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Validate RECIPE and show the jobs it stands for. Nothing is queued."""
    from cockpit.profiles import check_profiles
    from store import paths

    plan = load_recipe(library.find_recipe(recipe), overrides)
    check_profiles(plan, paths.home())
    if as_json:
        jobs = [
            {
                "name": job.name,
                "engine": job.engine,
                "needs": [needed for needed, _ in job.needs],
                "recipe": job.recipe.model_dump(mode="json", by_alias=True),
            }
            for job in plan.jobs
        ]
        print_json({"name": plan.name, "cron": plan.experiment.cron, "jobs": jobs})
        return
    rows = [
        [job.name, job.engine, ", ".join(needed for needed, _ in job.needs), _gist(job.recipe)]
        for job in plan.jobs
    ]
    output.table(["job", "engine", "needs", "set"], rows)
    for job in plan.jobs:
        for remark in job.recipe.remarks():
            narrate(f"warning: {job.name}: {remark}")
    if cron := plan.experiment.cron:
        from engines.recipe.cron import next_time

        narrate(f"queued at `{cron}`, next {output.moment(next_time(cron, time.time()))}")
    narrate(f"{plan.file}: {len(plan.jobs)} jobs, no mistakes found")


def _gist(recipe: Block) -> str:
    """The fields that the recipe sets and that fit in a line."""
    said = recipe.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"engine", "prompt", "resources"}
    )
    parts = [f"{key}={_flat(value)}" for key, value in said.items()]
    text = " ".join(parts)
    return text if len(text) <= 100 else text[:97] + "..."


def _flat(value: object) -> str:
    if isinstance(value, dict):
        known = next((value[key] for key in ("from", "name", "base") if value.get(key)), None)
        return str(known) if known else json.dumps(value, separators=(",", ":"))
    return value if isinstance(value, str) else json.dumps(value)


@click.command()
@click.argument("action", type=click.Choice(["list", "show", "copy"]), default="list")
@click.argument("name", required=False)
@click.argument("directory", required=False, type=click.Path(file_okay=False, path_type=Path))
@json_option
def recipes(action: str, name: str | None, directory: Path | None, as_json: bool) -> None:
    """The recipes that come with Tunedeck: `recipes`, `recipes show NAME`, `recipes copy NAME DIR`."""
    if action == "list":
        found = library.bundled_recipes()
        if as_json:
            print_json([{"name": n, "path": str(p), "about": library.describe(p)} for n, p in found.items()])
        else:
            output.table(["recipe", "about"], [[n, library.describe(p)] for n, p in found.items()])
        return
    if name is None:
        raise click.UsageError(
            f"`recipes {action}` needs the name of a recipe\nhint: `tunedeck recipes` lists them"
        )
    path = library.find_recipe(name)
    if action == "show":
        click.echo(path.read_text(encoding="utf-8"), nl=False)
        return
    target = (directory or Path()) / path.name
    if target.exists():
        raise RecipeError(f"{target}: exists already", hint="give another directory")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    click.echo(target)


@click.command()
@click.argument("engine", type=click.Choice(ENGINES), required=False)
def schema(engine: str | None) -> None:
    """Print the JSON Schema of recipes, or of one ENGINE's fields."""
    print_json(recipe_class(engine).model_json_schema(by_alias=True) if engine else recipe_schema())
