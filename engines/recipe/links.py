"""How the jobs of a recipe hang together: `needs`, `{from: job}`, matrices that match, and no circles."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from engines.recipe.blocks import Block
from engines.recipe.cells import Cell
from engines.recipe.document import KeyPath
from engines.recipe.report import Report
from engines.recipe.wording import nearest


def check_names(job: str, path: KeyPath, body: Any, jobs: Sequence[str], report: Report) -> None:
    """Every job that is named exists, looked up before anything else about the body is known to be right."""
    needs = body.get("needs") if isinstance(body, dict) else None
    named = [(("needs",), name) for name in needs if isinstance(name, str)] if isinstance(needs, list) else []
    for where, name in [*_raw_sources(body), *named]:
        others = [other for other in jobs if other != job]
        if name == job:
            report.add((*path, *where), f"job `{name}` cannot need itself")
        elif _job_of(name) not in jobs:
            known = ", ".join(others) or "none"
            text = f"there is no job `{name}`; the others are: {known}"
            report.add((*path, *where), text, nearest(name, others))


def link(cells: list[Cell], report: Report) -> None:
    """Fills in the links of every cell. Names of jobs that do not exist are reported already."""
    by_job: dict[str, list[Cell]] = {}
    for cell in cells:
        by_job.setdefault(cell.of, []).append(cell)
    by_name = {cell.name: cell for cell in cells}
    for cell in cells:
        for block, where in _sources(cell.recipe):
            named = by_name.get(block.from_)
            others = [named] if named else _compatible(cell, by_job.get(block.from_, []))
            _take(cell, block, (*cell.path, *where), others, block.from_ in by_job, report)
        for name in cell.needs:
            named = by_name.get(name)
            others = [named] if named else by_job.get(name, [])
            cell.links += [(other.name, None) for other in _compatible(cell, others) or others]


def in_order(cells: list[Cell], report: Report) -> list[Cell]:
    """Jobs after those that they need. A circle goes to the report."""
    done: dict[str, Cell] = {}
    left = list(cells)
    while left:
        ready = [cell for cell in left if all(needed in done for needed, _ in cell.links)]
        if not ready:
            names = ", ".join(dict.fromkeys(cell.of for cell in left))
            report.add(left[0].path, f"these jobs need each other in a circle: {names}", "break the circle")
            return cells
        done |= {cell.name: cell for cell in ready}
        left = [cell for cell in left if cell.name not in done]
    return list(done.values())


def _take(cell: Cell, block: Any, path: KeyPath, others: list[Cell], is_job: bool, report: Report) -> None:
    """Links a cell to the one job whose output it takes."""
    name = block.from_
    if not others:
        if is_job:
            report.add(path, f"no job of `{name}` has the same matrix values as this one")
    elif block.takes not in others[0].recipe.outputs:
        hint = f"name a job whose engine leaves a {block.takes}"
        report.add(path, f"job `{name}` ({others[0].engine}) leaves no {block.takes}", hint)
    elif len(others) > 1:
        names = ", ".join(other.name for other in others[:3])
        hint = "give this job a matrix over the same keys, or evaluate each with `eval: true`"
        report.add(path, f"job `{name}` stands for {len(others)} jobs ({names}, ...)", hint)
    else:
        cell.links.append((others[0].name, name))


def _job_of(name: str) -> str:
    """`prep` of `prep[seed=1]` and of `prep/eval`."""
    return re.split(r"[\[/]", name)[0]


def _sources(block: Block, path: KeyPath = ()) -> Iterator[tuple[Any, KeyPath]]:
    """Every block inside that takes another job's output, with its path."""
    for name in type(block).model_fields:
        value = getattr(block, name)
        if isinstance(value, Block):
            if getattr(value, "from_", None) is not None:
                yield value, (*path, name, "from")
            yield from _sources(value, (*path, name))


def _raw_sources(body: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """The same in a body that is not validated yet."""
    if isinstance(body, dict):
        for key, value in body.items():
            if key == "from" and isinstance(value, str):
                yield (*path, key), value
            else:
                yield from _raw_sources(value, (*path, key))


def _compatible(cell: Cell, others: list[Cell]) -> list[Cell]:
    """The cells that agree with this one on every matrix key that both have."""
    return [
        other
        for other in others
        if all(other.values[key] == value for key, value in cell.values.items() if key in other.values)
    ]
