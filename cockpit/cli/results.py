"""Commands about results: metrics, compare, examples."""

import csv
import sys
from dataclasses import asdict
from typing import Any

import click

from cockpit import comparison
from cockpit.cli import output
from cockpit.cli.output import JOB_ID, job_id, json_option, narrate, print_json
from cockpit.comparison import Comparison, Entry, Verdict
from cockpit.origins import origin_differences
from engines.recipe.surroundings import shortened
from store import metrics as store_metrics
from store import results
from store.database import Database, StoreError, open_database
from store.results import ScoredExample


@click.command()
@job_id
@click.option("--key", "-k", help="One metric: its points. Without it, the list of metrics.")
@click.option(
    "--width", type=click.IntRange(1), help="Summarise to about this many buckets instead of every point."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--retracted", is_flag=True, help="The points that a resume from a checkpoint took back.")
@json_option
def metrics(
    job_id: int, key: str | None, width: int | None, as_csv: bool, retracted: bool, as_json: bool
) -> None:
    """A job's metrics: the list of them, or with --key every point of one."""
    database = open_database()
    rows: list[dict[str, Any]]
    if key is None:
        series = store_metrics.list_series(database, [job_id])
        rows = [
            {"metric": s.name, "points": s.length, "step": s.last_step, "value": s.last_value} for s in series
        ]
    elif width is not None:
        rows = [asdict(bucket) for bucket in store_metrics.chart(database, job_id, key, width)]
    else:
        rows = [
            asdict(point) for point in store_metrics.read_points(database, job_id, key, retracted=retracted)
        ]
    if as_json:
        print_json(rows)
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    elif rows:
        output.table(
            list(rows[0]), [[_number(value) for value in row.values()] for row in rows], right="lrrrrr"
        )
    else:
        narrate(f"job {job_id}: has no metrics yet")


@click.command()
@click.argument("job_ids", metavar="[JOB]...", type=JOB_ID, nargs=-1)
@click.option("--experiment", "-e", help="All finished evaluations of an experiment, by name or number.")
@click.option(
    "--baseline", "-b", type=JOB_ID, metavar="JOB", help="Compare with this one; by default the first."
)
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@json_option
def compare(
    job_ids: tuple[int, ...], experiment: str | None, baseline: int | None, markdown: bool, as_json: bool
) -> None:
    """Models side by side: accuracy with 95 % intervals, and paired verdicts against a baseline.

    JOBs are evaluations, or training jobs that were evaluated. The verdicts are McNemar's exact test on the questions
    that both answered, adjusted by Holm's method for the number of comparisons in the table.
    """
    database = open_database()
    ids = [*job_ids, *(comparison.evaluations_of(database, experiment) if experiment else [])]
    table = comparison.compare(database, ids, baseline)
    if as_json:
        print_json(_as_json(table))
    else:
        print_comparison(table, markdown=markdown)
        for entry in table.entries:
            if said := origin_differences(database, table.baseline.job, entry.job):
                narrate(output.clean(f"{entry.label}, against {table.baseline.label}: {shortened(said)}"))


def print_comparison(table: Comparison, *, markdown: bool = False) -> None:
    """Two tables: the scores of each model, then the verdict on each against the baseline."""
    scores = [[entry.label, str(entry.job.id), *_scores(entry)] for entry in table.entries]
    headers = ["model", "job", "n", "strict", "95 %", "robust", "95 %", "format gap", "truncated", "tokens"]
    (output.markdown_table if markdown else output.table)(headers, scores, right="lrrrrrrrrr")
    click.echo()
    print_verdicts(table, markdown=markdown)


def print_verdicts(table: Comparison, *, markdown: bool = False) -> None:
    """What the numbers allow to say about each model against the baseline."""
    rows = [_verdict_row(verdict) for verdict in table.verdicts]
    headers = [
        "against " + table.baseline.label,
        "grader",
        "difference",
        "95 %",
        "wins",
        "losses",
        "p",
        "p (Holm)",
        "verdict",
    ]
    if markdown or rows:
        (output.markdown_table if markdown else output.table)(headers, rows, right="llrrrrrrl")


def _scores(entry: Entry) -> list[str]:
    cells = [str(entry.scores["strict"].fields.get("n", ""))]
    for grader in comparison.GRADERS:
        score = entry.scores.get(grader)
        if score is None or score.value is None:
            cells += ["", ""]
            continue
        cells += [f"{score.value:.1%}", f"{score.fields['low']:.1%}-{score.fields['high']:.1%}"]
    for name, form in (("format_gap", ".1%"), ("truncated", ".1%"), ("mean_tokens", ".0f")):
        value = entry.scores[name].value if name in entry.scores else None
        cells.append("" if value is None else format(value, form))
    return cells


def _verdict_row(verdict: Verdict) -> list[str]:
    if verdict.refused:
        return [verdict.entry.label, verdict.grader, "", "", "", "", "", "", verdict.text]
    return [
        verdict.entry.label,
        verdict.grader,
        f"{100 * verdict.difference:+.1f} pp",
        f"{100 * verdict.low:+.1f}..{100 * verdict.high:+.1f}",
        str(verdict.only_entry),
        str(verdict.only_baseline),
        _p_value(verdict.p),
        _p_value(verdict.p_adjusted),
        verdict.text + _asides(verdict),
    ]


def _asides(verdict: Verdict) -> str:
    """How many questions it would take, where nothing was shown, and what was left out."""
    said = []
    if verdict.needed and verdict.text == "no difference shown":
        said.append(f"this gap needs {verdict.needed:,} questions")
    if verdict.left_out:
        said.append(f"{verdict.left_out} questions left out: a grader failed on them")
    return f" ({'; '.join(said)})" if said else ""


def _p_value(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"


def _as_json(table: Comparison) -> dict[str, Any]:
    entries = [
        {
            "job": entry.job.id,
            "label": entry.label,
            "protocol": entry.protocol,
            "scores": {name: {"value": score.value, **score.fields} for name, score in entry.scores.items()},
        }
        for entry in table.entries
    ]
    verdicts = []
    for verdict in table.verdicts:
        row = asdict(verdict)
        row["entry"] = verdict.entry.job.id
        verdicts.append(row | {"verdict": verdict.text})
    return {"baseline": table.baseline.job.id, "entries": entries, "verdicts": verdicts}


@click.command()
@job_id
@click.option(
    "--correct", type=click.Choice(["yes", "no"]), help="Only the right ones, or only the wrong ones."
)
@click.option(
    "--versus", type=JOB_ID, metavar="JOB", help="Only where this other evaluation ended differently."
)
@click.option("--grader", type=click.Choice(comparison.GRADERS), default="strict", show_default=True)
@click.option("--limit", "-n", type=click.IntRange(1), help="Only the first N.")
@json_option
def examples(
    job_id: int, correct: str | None, versus: int | None, grader: str, limit: int | None, as_json: bool
) -> None:
    """The examples behind a score, or with --versus behind a difference."""
    database = open_database()
    mine = _examples_of(database, job_id)
    theirs = {e.key: e for e in _examples_of(database, versus)} if versus is not None else {}
    chosen = [e for e in mine if correct is None or getattr(e, grader) is (correct == "yes")]
    if versus is not None:
        chosen = [
            e for e in chosen if e.key in theirs and getattr(theirs[e.key], grader) is not getattr(e, grader)
        ]
    chosen = chosen[:limit]
    if as_json:
        print_json([e.fields | {"versus": theirs[e.key].fields if e.key in theirs else None} for e in chosen])
        return
    for example in chosen:
        _print_example(example, job_id, theirs.get(example.key), versus, grader)
    narrate(f"{len(chosen)} of {len(mine)} examples")


def _examples_of(database: Database, job_id: int) -> list[ScoredExample]:
    found = results.list_examples(database, comparison.load_entry(database, job_id).job.id)
    if not found:
        raise StoreError(f"job {job_id}: has no examples")
    return found


def _print_example(
    example: ScoredExample, job_id: int, other: ScoredExample | None, versus: int | None, grader: str
) -> None:
    click.echo(click.style(output.clean(f"--- {example.key}"), bold=True))
    click.echo(output.foreign(str(example.fields.get("question", ""))))
    click.echo(output.foreign(f"gold: {example.fields.get('gold', '')}"))
    for one, number in ((example, job_id), (other, versus)):
        if one is not None:
            right = "right" if getattr(one, grader) else "wrong"
            click.echo(output.foreign(f"\njob {number}: {right}, extracted {one.fields.get('extracted')!s}"))
            click.echo(output.foreign(str(one.fields.get("completion", ""))))
    click.echo()


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
