"""A plot of a report in words: for each line its values from left to right."""

from cockpit.figures import number, percent
from cockpit.report.plots import Plot

Cell = tuple[str, str]


def plot_in_words(plot: Plot, index: int = 0) -> list[list[Cell]]:
    """A sentence for what is drawn, one for each line, one for what has no place on the axis. Intervals are in the tables."""
    panel = plot.panels[index]
    said = [f"{panel.title.rstrip(',')} against {plot.x_title}, in numbers."]
    for line in panel.lines:
        dots = ", ".join(f"at {number(dot.x)}: {percent(dot.value)}" for dot in line.dots)
        said.append(f"{line.name}, {dots}." if dots else f"{line.name} has no values yet.")
    said += [f"{name}, wherever on the axis: {percent(value)}." for name, value in panel.references]
    return [[(sentence, "")] for sentence in said]
