"""`tunedeck analyze`: what kind of mistakes models make, side by side."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from cockpit import analysis, comparison
from cockpit.analysis import STEPS, Analysis
from cockpit.cli import output
from cockpit.cli.output import JOB_ID, json_option, print_json
from cockpit.figures import percent
from engines.tasks.errors import CLASSES
from store.database import open_database


@click.command()
@click.argument("job_ids", metavar="[JOB]...", type=JOB_ID, nargs=-1)
@click.option("--experiment", "-e", help="All finished evaluations of an experiment, by name or number.")
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@json_option
def analyze(job_ids: tuple[int, ...], experiment: str | None, markdown: bool, as_json: bool) -> None:
    """Why JOBs were wrong: accuracy beside endings, and kinds of mistakes.

    JOBs are evaluations, or training jobs that were evaluated. An answer can be wrong because the model was cut off,
    because it went on too long, or because it reckoned wrong; only the last is about reasoning.
    """
    database = open_database()
    ids = [*job_ids, *(comparison.evaluations_of(database, experiment) if experiment else [])]
    found = analysis.analyze(database, ids)
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    print_table = output.markdown_table if markdown else output.table
    headers = [
        "model",
        "job",
        "n",
        "strict",
        "robust",
        "contains",
        "ended",
        "cut off",
        "tokens right",
        "wrong",
    ]
    print_table(headers, [_rates(one) for one in found], right="lrrrrrrrrr")
    names = _distinct([one.label for one in found], [one.job.id for one in found])
    for title, keys, counts in (
        ("mistake", CLASSES, [one.mistakes for one in found]),
        ("first wrong step", STEPS, [one.first_wrong for one in found]),
    ):
        click.echo()
        rows = [[key.replace("_", " "), *(_count(count, key) for count in counts)] for key in keys]
        print_table([title, *names], rows, right="l" + "r" * len(found))


def _rates(one: Analysis) -> list[str]:
    shares = (one.strict, one.robust, one.contains, one.ended, 1 - one.ended)
    tokens = ("" if mean is None else f"{mean:.0f}" for mean in (one.tokens_right, one.tokens_wrong))
    return [one.label, str(one.job.id), str(one.n), *map(percent, shares), *tokens]


def _count(counts: dict[str, int], key: str) -> str:
    wrong = sum(counts.values())
    return f"{counts[key]} ({percent(counts[key] / wrong)})" if counts[key] else "0"


def _distinct(labels: Sequence[str], ids: Sequence[int]) -> list[str]:
    """Headers: the names, with the number of the job where two have the same."""
    pairs = zip(labels, ids, strict=True)
    return [f"{label} #{number}" if labels.count(label) > 1 else label for label, number in pairs]


def _as_json(one: Analysis) -> dict[str, object]:
    return asdict(one) | {"job": one.job.id}
