"""A report as files: a page with its plots and data beside it, or one plot."""

import json
from pathlib import Path

from cockpit.comparison import GRADERS
from cockpit.report.contents import Report
from cockpit.report.heat_svg import Heat, heat_svg, of_cosines, of_grid, of_search
from cockpit.report.plots import Plot
from cockpit.report.suite_json import suite_json
from cockpit.report.svg import svg
from cockpit.report.text import markdown
from store.database import StoreError


def write_page(found: Report, out: Path, plots: list[Plot]) -> list[Path]:
    """Markdown, an SVG for each plot and heat map, and the comparison's data; the page comes last. StoreError where one cannot be written."""
    paths = {plot.key: out.with_name(f"{out.stem}-{plot.key}.svg") for plot in plots}
    files = {paths[plot.key]: svg(plot) for plot in plots}
    titles = {paths[plot.key].name: plot.title for plot in plots}
    for heat in _heats(found):
        path = out.with_name(f"{out.stem}-{heat.key}.svg")
        files[path], titles[path.name] = heat_svg(heat), heat.title
    if found.suite is not None:
        path = out.with_name(f"{out.stem}-comparison.json")
        files[path] = json.dumps(suite_json(found.suite), indent=2) + "\n"
    return _write({**files, out: markdown(found, titles)})


def write_plot(plot: Plot, out: Path) -> list[Path]:
    """One plot as SVG. StoreError where it cannot be written."""
    return _write({out: svg(plot)})


def _heats(found: Report) -> list[Heat]:
    """The heat maps of an experiment: of matrices over two fields, searches for a steering, and gradients of tasks."""
    maps = [of_grid(grid, grader) for grid in found.grids for grader in GRADERS]
    searches = [of_search(job_id, one) for job_id, one in found.heat_maps]
    return [*maps, *searches, *(of_cosines(job_id, one) for job_id, one in found.cosines)]


def _write(files: dict[Path, str]) -> list[Path]:
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
    return list(files)
