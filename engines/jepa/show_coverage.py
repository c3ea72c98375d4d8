"""`tunedeck engine step_jepa coverage`: how much of a recipe's training data has steps, before anything is trained."""

from pathlib import Path

import click

from engines.jepa.coverage import coverage, coverage_table
from engines.jepa.preview import preview
from engines.verbs.request import Request, verb


@verb
@click.option("--traces", type=click.Path(path_type=Path), help="Solutions to take instead of the recipe's.")
def show_coverage(request: Request, traces: Path | None) -> None:
    """Count the steps of all training examples, the pairs, and what tokens and the length limit do to them."""
    found = preview(request, traces)
    for remark in found.remarks:
        click.echo(f"warning: {remark}", err=True)
    click.echo(coverage_table(coverage(found.rows(found.examples), found.recipe.max_length)), nl=False)
