"""The unsteered answers that everything is compared with, and a screen by generation of what the heat map lets through."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engines.steer.heatmap import Cell, layers_to_screen, steering_fields
from engines.steer.items import Item, differences, item
from engines.steer.journal import Batches, hash_of, kept_rows, write_jsonl
from engines.steer.sources import Sources
from engines.steer.subject import Subject
from engines.tasks.example import Example
from engines.tasks.loading import data_hash
from engines.tasks.scored import ScoredExample

SCREENED_PARTS = ("screen", "search", "confirm")


def baseline(subject: Subject) -> dict[str, list[Item]]:
    """Answers without steering to the questions of each part, in their order; leaves `baseline.jsonl`."""
    asked = [(part, example) for part in SCREENED_PARTS for example in subject.splits.part(part)]

    def make(missing: list[int]) -> Batches:
        wanted = [(asked[place][1], 0, None) for place in missing]
        for batch in subject.answers(wanted, subject.recipe.greedy):
            yield [(missing[place], answered(asked[missing[place]], row)) for place, row in batch]

    def answered(question: tuple[str, Example], row: ScoredExample) -> Item:
        made = item(row, subject.correct(row), row.completion)
        part, example = question
        return {"part": part, **made, "token_ids": subject.drafts[subject.prompt(example)]}

    parts = {part: data_hash(subject.splits.part(part)) for part in SCREENED_PARTS}
    keys = [example.id for _, example in asked]
    rows = kept_rows(subject.run.dir / "baseline.jsonl", [subject.asked, parts], keys, make, subject.tick)
    for (_, example), row in zip(asked, rows, strict=True):
        subject.drafts[subject.prompt(example)] = row.pop("token_ids")
    return {part: [row for row in rows if row["part"] == part] for part in SCREENED_PARTS}


@dataclass(frozen=True)
class Screened:
    """A cell of the screen with its gain over no steering, on the screen's questions."""

    direction: str
    layer: int
    alpha: float
    gain: float


def screen(
    subject: Subject, sources: Sources, cells: Sequence[Cell], unsteered: Sequence[Item]
) -> list[Screened]:
    """Every strength of the ladder at the layers that each direction's map lets through, in one stream."""
    recipe, fields = subject.recipe, steering_fields(subject)
    count = recipe.search.screen_layers
    chosen = [
        (name, layer, alpha)
        for name in sources.found
        for layer in layers_to_screen(cells, name, count)
        for alpha in recipe.ladder
    ]
    steerings = [sources.found[name].steering([layer], alpha, **fields) for name, layer, alpha in chosen]
    examples = subject.splits.screen
    # Questions outermost: rows that share a prompt stand together and have it read once.
    asked = [(place, cell) for place in range(len(examples)) for cell in range(len(chosen))]

    def make(missing: list[int]) -> Batches:
        wanted = [(examples[asked[place][0]], 0, steerings[asked[place][1]]) for place in missing]
        for batch in subject.answers(wanted, recipe.greedy):
            yield [
                (missing[place], {"correct": subject.correct(row), "tokens": row.tokens})
                for place, row in batch
            ]

    keys = [f"{examples[place].id}/{cell}" for place, cell in asked]
    inputs = hash_of([subject.asked, [one.key for one in steerings], data_hash(examples)])
    rows = kept_rows(subject.run.dir / "screen.items.jsonl", inputs, keys, make, subject.tick)
    found = []
    for number, (name, layer, alpha) in enumerate(chosen):
        gains = differences(rows[number :: len(chosen)], unsteered)
        found.append(Screened(name, layer, alpha, sum(gains) / len(gains)))
    write_jsonl(subject.run.dir / "screen.jsonl", [_shown(one) for one in found])
    return found


def startup(found: Sequence[Screened], direction: str, count: int) -> list[tuple[int, float]]:
    """Layers and strengths that a study begins with: the best cells, the gentler first where they are equal."""
    own = [one for one in found if one.direction == direction]
    own.sort(key=lambda one: (-one.gain, abs(one.alpha), one.layer, one.alpha))
    return [(one.layer, one.alpha) for one in own[:count]]


def _shown(one: Screened) -> dict[str, Any]:
    return {"direction": one.direction, "layer": one.layer, "alpha": one.alpha, "gain": one.gain}
