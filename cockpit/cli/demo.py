"""`tunedeck demo`: the whole story on the model that ships with Tunedeck, with no download."""

import sys

import click

from cockpit import comparison, library
from cockpit.cli.output import narrate
from cockpit.plain.mode import is_plain
from store import machine
from store.database import open_database


@click.command()
@click.option("--plain", is_flag=True, help="No terminal UI: live progress, then the comparison.")
def demo(plain: bool) -> int:
    """Evaluate, train and compare `pocket` on generated word problems.

    On a terminal this opens the TUI on the queue; otherwise it prints progress and ends with the comparison.
    """
    from cockpit.control import start_daemon
    from cockpit.submission import submit

    database = open_database()
    experiment_id, job_ids, plan = submit(database, library.find_recipe("demo"))
    narrate(f"experiment {experiment_id} ({plan.name}): {len(job_ids)} jobs queued")
    if not machine.daemon_is_running(database.home):
        start_daemon(database)
    if not (plain or is_plain()) and sys.stdin.isatty() and sys.stdout.isatty():
        from cockpit.app import run

        run(database.home)
        return 0
    from cockpit.cli.live import watch
    from cockpit.cli.results import print_comparison, print_verdicts

    result = watch(database, job_ids)
    base, *trained = comparison.evaluations_of(database, experiment_id)
    click.echo()
    print_comparison(comparison.compare(database, [base, *trained]))
    click.echo()
    print_verdicts(comparison.compare(database, trained))
    return result
