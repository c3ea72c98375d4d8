"""Commands about what holds for many jobs: group, schedules."""

import time
from dataclasses import asdict

import click

from cockpit.cli import output
from cockpit.cli.output import json_option, narrate, print_json
from store import groups as store_groups
from store import machine
from store import schedules as store_schedules
from store.database import open_database


@click.command()
@click.argument("name", required=False)
@click.option("--slots", type=click.IntRange(1, 100_000), help="How many of its jobs may run at once.")
@click.option("--no-limit", is_flag=True, help="As many as there is room for.")
@click.option("--pause/--resume", default=None, help="Start none of its jobs; running ones go on.")
@json_option
def group(name: str | None, slots: int | None, no_limit: bool, pause: bool | None, as_json: bool) -> None:
    """Show the groups, or set the group NAME: jobs join one with `group: NAME` in their recipe."""
    if slots and no_limit:
        raise click.UsageError("`--slots` and `--no-limit` contradict each other")
    changes: dict[str, int | bool | None] = {}
    if slots or no_limit:
        changes["slots"] = slots
    if pause is not None:
        changes["paused"] = pause
    if changes and name is None:
        raise click.UsageError("which group? `tunedeck group NAME --slots 2`")
    database = open_database()
    if name is not None and changes:
        store_groups.set_group(database, name, **changes)
        machine.nudge(database.home)
    found = store_groups.list_groups(database) if name is None else [store_groups.get_group(database, name)]
    if as_json:
        print_json([asdict(group) for group in found])
        return
    if not found:
        narrate("no groups\nhint: `group: NAME` in a recipe puts a job into one")
        return
    output.table(
        ["group", "slots", "running", "waiting", ""],
        [
            [
                one.name,
                "no limit" if one.slots is None else str(one.slots),
                str(one.running),
                str(one.waiting),
                "paused" if one.paused else "",
            ]
            for one in found
        ],
        right="lrrr",
    )


@click.command()
@click.argument("action", type=click.Choice(["list", "pause", "resume", "remove"]), default="list")
@click.argument("schedule_id", metavar="[SCHEDULE]", type=output.JOB_ID, required=False)
@json_option
def schedules(action: str, schedule_id: int | None, as_json: bool) -> None:
    """The recipes with `cron`: `schedules`, `schedules pause 1`, `schedules resume 1`, `schedules remove 1`."""
    database = open_database()
    if action != "list":
        if schedule_id is None:
            raise click.UsageError(f"`schedules {action}` needs the number of a schedule")
        found = store_schedules.get_schedule(database, schedule_id)
        if action == "remove":
            store_schedules.remove_schedule(database, schedule_id)
            narrate(f"schedule {schedule_id} ({found.name}) is removed; what it has queued stays")
        else:
            from engines.recipe.cron import next_time

            next_at = next_time(found.cron, time.time())
            store_schedules.set_paused(database, schedule_id, action == "pause", next_at)
            narrate(
                f"schedule {schedule_id} ({found.name}) {'is paused' if action == 'pause' else 'goes on'}"
            )
        machine.nudge(database.home)
        return
    rows = store_schedules.list_schedules(database)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    if not rows:
        narrate("no schedules\nhint: `cron: 0 22 * * *` at the top of a recipe makes one of it")
        return
    output.table(
        ["schedule", "recipe", "cron", "next", "last experiment"],
        [
            [
                str(row.id),
                row.name,
                row.cron,
                "paused" if row.paused else output.moment(row.next_at),
                "" if row.last_experiment_id is None else str(row.last_experiment_id),
            ]
            for row in rows
        ],
        right="r",
    )
