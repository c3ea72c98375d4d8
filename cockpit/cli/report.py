"""`tunedeck report`: what an experiment has shown."""

from pathlib import Path

import click

from cockpit.cli import output
from cockpit.cli.output import json_option, narrate, print_json
from cockpit.comparison import GRADERS
from cockpit.plain.mode import is_plain
from cockpit.report import contents, plots
from cockpit.report.contents import Report
from cockpit.report.plots import Plot
from cockpit.report.points import AXES
from store.database import StoreError, open_database


@click.command()
@click.argument("experiment")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a report with plots beside it (.md), or only a plot (.svg).",
)
@click.option(
    "--x",
    "axis",
    type=click.Choice(list(AXES)),
    help="What accuracy is drawn against; by default training samples, and in a .md all that is known.",
)
@click.option(
    "--grader",
    type=click.Choice(GRADERS),
    default="strict",
    show_default=True,
    help="Which accuracy the terminal's chart shows; an .svg shows both.",
)
@json_option
def report(experiment: str, out: Path | None, axis: str | None, grader: str, as_json: bool) -> None:
    """What EXPERIMENT, a name or number, has shown: accuracy against budget, and verdicts.

    Works while jobs still run: what is missing is said. Intervals are over seeds and questions, verdicts are paired.
    """
    if out is not None:
        _check_suffix(out)
    found = contents.build(open_database(), experiment)
    axes = found.axes if axis is None else [axis]
    if axis is not None and axis not in found.axes:
        known = ", ".join(found.axes) or "none"
        narrate(f"no plot against {AXES[axis]}: no job reports them; known: {known}")
    drawn = [plot for one in axes if (plot := plots.against_budget(found, one))]
    evolution = plots.by_epoch(found)
    rounds = [*plots.by_round(found), *evolution]
    if out is not None:
        is_page = out.suffix.lower() == ".md"
        _write(found, out, [*drawn, *rounds] if is_page or axis is None else drawn)
    if as_json:
        print_json(contents.as_json(found))
    elif out is None:
        from cockpit.report.chart import chart
        from cockpit.report.text import print_report

        if is_plain():
            from cockpit.plain.plots import plot_in_words

            # As on a screen: of the evolution the overview, as the tables have the domains of every job.
            shown = [plot for plot in rounds if plot not in evolution[1:]]
            said = [plot_in_words(plot, GRADERS.index(grader)) for plot in drawn[:1]]
            said += [plot_in_words(plot) for plot in shown]
            print_report(found, said)
            return
        budget = [chart(plot, GRADERS.index(grader)) for plot in drawn[:1]]
        # Of the evolution the terminal shows the overview; a page has the domains of every job.
        print_report(found, [*budget, *(chart(plot) for plot in rounds if plot not in evolution[1:])])


def _check_suffix(out: Path) -> None:
    """Before anything is read: a report takes seconds for a large sweep."""
    if out.suffix.lower() == ".png":
        raise click.UsageError(
            f"{out}: plots are written as SVG\nhint: name a .svg; browsers and `rsvg-convert` turn it into PNG"
        )
    if out.suffix.lower() not in (".md", ".svg"):
        raise click.UsageError(f"{out}: the name must end in .md or .svg")


def _write(found: Report, out: Path, drawn: list[Plot]) -> None:
    from cockpit.report.files import write_page, write_plot

    if out.suffix.lower() == ".md":
        written = write_page(found, out, drawn)
    elif drawn:
        written = write_plot(drawn[0], out)
    else:
        raise StoreError(
            f"{output.clean(found.name)}: there is nothing to plot\n"
            "hint: without --out the report says what is missing"
        )
    for path in written:
        narrate(f"wrote {path}")
