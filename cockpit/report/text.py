"""The report on a terminal and in Markdown."""

import os
import re
from collections.abc import Iterable, Mapping

import click

from cockpit.cli import output
from cockpit.cli.output import clean
from cockpit.glyphs import to_ascii
from cockpit.plain.mode import is_plain
from cockpit.report.chart import Cell
from cockpit.report.contents import Report
from cockpit.report.section import Section
from cockpit.report.sections import sections

WIDTH = 80
MOST_ROWS = 40
"""Of one table on a terminal."""


def print_report(report: Report, charts: Iterable[list[list[Cell]]]) -> None:
    """Charts, tables and sentences, for a terminal of 80 columns and more."""
    click.echo(click.style(clean(f"{report.name}: {subject(report)}"), bold=True))
    for lines in charts:
        if lines:
            click.echo()
            click.echo("\n".join("".join(map(_painted, line)).rstrip() for line in lines))
    for section in sections(report):
        click.echo()
        click.echo(click.style(clean(section.title), bold=True))
        if section.headers:
            rows = [[_in_ascii(cell) for cell in row] for row in section.rows[:MOST_ROWS]]
            output.table(section.headers, rows, section.right)
            if (left := len(section.rows) - MOST_ROWS) > 0:
                click.echo(f"... and {left} more rows, which `--out report.md` and `--json` have")
        for line in section.lines:
            click.echo(_wrapped(clean(line)))


def subject(report: Report) -> str:
    """What was asked: task, split, number of questions and decoding, as far as it is known."""
    protocol = report.protocol
    if not protocol and report.points:
        return f"{report.points[0].n} questions; the scores do not say of which task"
    if not protocol:
        return "no evaluation yet"
    sampling = protocol.get("sampling")
    sampling = sampling if isinstance(sampling, dict) else {}
    temperature = sampling.get("temperature", 0)
    how = (
        f"{sampling.get('num_samples', 1)} samples at temperature {temperature:g}"
        if temperature
        else "greedy"
    )
    n = report.points[0].n if report.points else protocol.get("questions", "?")
    return f"{protocol.get('task', '?')} {protocol.get('split', '?')}, {n} questions, {how}"


def _painted(cell: Cell) -> str:
    text, paint = cell
    text = _in_ascii(clean(text))
    coloured = paint and not os.environ.get("NO_COLOR")
    return click.style(text, fg=paint) if coloured else text


def _in_ascii(text: str) -> str:
    return "".join(map(to_ascii, text)) if output.is_ascii() else text


def _wrapped(line: str) -> str:
    return line if is_plain() else click.wrap_text(line, WIDTH, subsequent_indent="  ")


def markdown(report: Report, plots: Mapping[str, str]) -> str:
    """The report as a Markdown document. `plots` has the title of each plot by the name of its file."""
    parts = [f"# {_escaped(report.name)}", f"{_escaped(subject(report))}."]
    parts += [f"![{_escaped(title)}](<{name}>)" for name, title in plots.items()]
    for section in sections(report):
        parts += [f"## {_escaped(section.title)}", *_markdown_section(section)]
    return "\n\n".join(parts) + "\n"


def _markdown_section(section: Section) -> Iterable[str]:
    if section.headers:
        rule = ["---:" if section.right[i : i + 1] == "r" else "---" for i in range(len(section.headers))]
        rows = [section.headers, rule, *section.rows]
        yield "\n".join(
            "| " + " | ".join(_cell(cell, i) for cell in row) + " |" for i, row in enumerate(rows)
        )
    if section.lines:
        yield "\n".join(f"- {_escaped(line)}" for line in section.lines)


def _cell(text: str, row: int) -> str:
    return text if row == 1 else _escaped(text)


def _escaped(text: str) -> str:
    """Plain words in Markdown: names of jobs are a user's, and may hold anything."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", clean(text))
