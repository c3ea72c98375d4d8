"""What only some jobs have, in words: checkpoints, rounds of Think-Prune-Train, completions with their rewards."""

from collections.abc import Sequence

from cockpit.checkpoints import Checkpoint
from cockpit.figures import clock, figure, number, percent, size_text
from cockpit.plain_text import plain_line, plain_lines
from cockpit.report.rounds import Round
from cockpit.rollouts import Rollout
from cockpit.widgets.cells import Cell

_SHOWN = ("strict", "robust", "dev_strict", "dev_robust", "yield", "solved")
"""Scores of a round that have a column, where some round has them."""


def checkpoint_lines(found: Sequence[Checkpoint]) -> list[list[Cell]]:
    """One line a checkpoint, with the best one and those that are gone marked."""
    if not found:
        return []
    by = next((one.scored_by for one in found if one.scored_by), None)
    lines: list[list[Cell]] = [[("Checkpoints", "strong"), (f"  scored by {by}" if by else "", "muted")]]
    for one in found:
        size = "gone" if one.size is None else size_text(one.size)
        is_share = one.scored_by is not None and one.scored_by.startswith("dev_accuracy")
        score = percent(one.score) if is_share else number(one.score)
        paint = "muted" if one.size is None else "good" if one.best else ""
        mark = "  ◆ best" if one.best else ""
        text = f"  step {one.step:>8,}  {clock(one.time):>16}  {size:>9}  {score:>8}{mark}"
        lines.append([(text, paint)])
    return [*lines, []]


def round_lines(rounds: Sequence[Round]) -> list[list[Cell]]:
    """Rounds down, their scores across, and the verdict against round 0."""
    if not rounds:
        return []
    names = [name for name in _SHOWN if any(name in one.scores for one in rounds)]
    head = "".join(f"{name:>13}" for name in names)
    lines: list[list[Cell]] = [[("Rounds", "strong")], [(f"  {'round':<6}{head}", "muted")]]
    for one in rounds:
        cells = "".join(f"{figure(name, one.value(name)):>13}" for name in names)
        said = "  ".join(f"{grader}: {word}" for grader, word in one.verdicts.items())
        lines.append([(f"  {one.number:<6}", "accent"), (cells, ""), (f"  {said}", "muted")])
    return [*lines, []]


def rollout_lines(found: Rollout | None) -> list[list[Cell]]:
    """A completion below what it earned."""
    if found is None:
        return [[("No completions were logged yet.", "muted")]]
    step = "" if found.step is None else f"step {found.step:,}   "
    title = f"{step}completion {found.index + 1:,} of {found.count:,}"
    lines: list[list[Cell]] = [[(title, "strong"), ("   n next, p previous, e newest", "muted")]]
    for name, value in found.figures.items():
        paint = "good" if value > 0 else "bad" if value < 0 else ""
        lines.append([(f"  {plain_line(name, 40):<28} ", "accent"), (number(value), paint)])
    for name, text in found.texts.items():
        lines.append(
            [(f"  {plain_line(name, 40):<28} ", "accent"), (plain_line(text.replace("\n", " "), 200), "")]
        )
    return [*lines, [], *([(line, "")] for line in plain_lines(found.completion))]


def provenance_cells(lines: Sequence[tuple[str, str]]) -> list[list[Cell]]:
    """Where the job came from, above its recipe."""
    if not lines:
        return []
    return [
        [("Provenance", "strong")],
        *([(f"  {label:<9} ", "accent"), (plain_line(text, 600), "")] for label, text in lines),
        [],
        [("Recipe", "strong")],
    ]
