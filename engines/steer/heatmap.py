"""Every layer and strength at once, before anything is generated: what steering does to texts that are given.

Gold solutions of the screen's questions, and right and wrong texts of questions that no direction was made from: is the
right one likelier beside the wrong one than without steering? Leaves `heatmap.csv`, and says which layers to go on with.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from engines.run import write_whole
from engines.statistics.intervals import holm
from engines.statistics.student_t import critical_value, two_sided_p
from engines.steer.directions import Steering
from engines.steer.journal import Batches, hash_of, kept_rows
from engines.steer.screening import force
from engines.steer.sources import Sources
from engines.steer.subject import Subject

FILE = "heatmap.csv"
_ROWS = 32
"""Steerings of a forward pass: the logits of a large vocabulary are the bulk of its memory."""
_SHOWN_EVERY = 8
"""Texts after which the file is written again while the map is made."""


@dataclass(frozen=True)
class Cell:
    """One direction at one layer and strength."""

    direction: str
    layer: int
    alpha: float
    gold_nll_change: float
    """Nats a token of gold solutions; below 0, they have become likelier."""
    gold_p: float
    margin_change: float | None
    """Nats a token by which right texts gained on wrong ones; None where there are no pairs to tell."""
    margin_low: float | None
    """Its lower bound, at 95 %."""
    margin_p: float | None
    kl: float
    entropy_change: float
    first_token_changed: float
    """Share of gold solutions before which another first token is the likeliest."""
    significant: bool = False
    """The margin's change, or where there is none the gold solutions', after Holm's correction over the direction's cells."""


def plan(sources: Sources, ladder: Sequence[float]) -> list[tuple[str, int, float]]:
    """Direction, layer and strength of every cell."""
    return [
        (name, layer, alpha)
        for name, found in sources.found.items()
        for layer in found.layers
        for alpha in ladder
    ]


def heat_map(subject: Subject, sources: Sources) -> list[Cell]:
    """All cells' figures."""
    cells = plan(sources, subject.recipe.ladder)
    fields = steering_fields(subject)
    steerings = [sources.found[name].steering([layer], alpha, **fields) for name, layer, alpha in cells]
    rows = _forced(subject, sources, steerings, lambda rows: _write(subject, _figures(cells, rows)))
    found = _figures(cells, rows)
    _write(subject, found)
    return found


def _figures(cells: Sequence[tuple[str, int, float]], rows: Sequence[Mapping[str, Any]]) -> list[Cell]:
    gold = [row["cells"] for row in rows if row["side"] == "gold"]
    sides: dict[str, dict[str, list[list[dict[str, float]]]]] = {}
    for row in rows:
        if row["side"] != "gold":
            sides.setdefault(row["question"], {}).setdefault(row["side"], []).append(row["cells"])
    return _marked([_cell(cell, place, gold, list(sides.values())) for place, cell in enumerate(cells)])


def steering_fields(subject: Subject) -> dict[str, Any]:
    """The fields of the spec that no trial varies."""
    search, vectors = subject.recipe.search, subject.recipe.vectors
    return {"op": search.op, "where": search.where.model_dump(), "read": vectors.read}


def layers_to_screen(cells: Sequence[Cell], direction: str, count: int) -> list[int]:
    """The layers at which some strength makes right texts surely likelier beside wrong ones; without pairs, gold ones."""

    def promise(cell: Cell) -> float:
        return -cell.gold_nll_change if cell.margin_low is None else cell.margin_low

    best: dict[int, float] = {}
    for cell in cells:
        if cell.direction == direction:
            best[cell.layer] = max(best.get(cell.layer, -float("inf")), promise(cell))
    return sorted(sorted(best, key=lambda layer: (-best[layer], layer))[:count])


def _forced(
    subject: Subject, sources: Sources, steerings: Sequence[Steering], show: Callable[[Sequence[Any]], None]
) -> list[dict[str, Any]]:
    """For each text: what every steering does to it. `show` is given what there is so far, for people who watch."""
    spec, limit = subject.spec, subject.recipe.heatmap_texts
    texts = []
    for example in subject.splits.screen[:limit]:
        completion = spec.completion(example.reasoning, example.answer).removeprefix(spec.prefill)
        texts.append((example.id, "gold", subject.prompt(example), completion))
    questions = list(dict.fromkeys(side.question for side in sources.held_out))[:limit]
    for side in sources.held_out:
        if side.question in questions and side.completion:
            name = "right" if side.label else "wrong"
            texts.append((side.question, name, side.prompt, side.completion))

    def make(missing: list[int]) -> Batches:
        rows: list[dict[str, Any]] = []
        for place in missing:
            question, side, prompt, completion = texts[place]
            found = force(subject.model, subject.tokenizer, prompt, completion, steerings, _ROWS)
            rows.append({"question": question, "side": side, "cells": [asdict(one) for one in found]})
            if len(rows) % _SHOWN_EVERY == 0 and sum(row["side"] == "gold" for row in rows) > 1:
                show(rows)
            yield [(place, rows[-1])]

    inputs = [subject.asked, [one.key for one in steerings], texts]
    keys = [str(place) for place in range(len(texts))]
    return kept_rows(subject.run.dir / "heatmap.jsonl", hash_of(inputs), keys, make, subject.tick)


def _cell(
    cell: tuple[str, int, float],
    place: int,
    gold: Sequence[Sequence[Mapping[str, float]]],
    pairs: Sequence[Mapping[str, Sequence[Sequence[Mapping[str, float]]]]],
) -> Cell:
    here = [row[place] for row in gold]
    changes = [one["nll_change"] / one["tokens"] for one in here]
    margins = [
        _mean_change(outcomes["wrong"], place) - _mean_change(outcomes["right"], place)
        for outcomes in pairs
        if {"right", "wrong"} <= outcomes.keys()
    ]
    known = len(margins) > 1
    margin, low, p = _tested(margins) if known else (None, None, None)
    return Cell(
        *cell,
        gold_nll_change=fmean(changes),
        gold_p=_tested(changes)[2],
        margin_change=margin,
        margin_low=low,
        margin_p=p,
        kl=fmean(one["kl"] for one in here),
        entropy_change=fmean(one["entropy_change"] for one in here),
        first_token_changed=fmean(one["first_token_changed"] for one in here),
    )


def _mean_change(texts: Sequence[Sequence[Mapping[str, float]]], place: int) -> float:
    return fmean(text[place]["nll_change"] / text[place]["tokens"] for text in texts)


def _tested(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, its lower bound at 95 %, and a two-sided p (Student's t)."""
    mean, error, df = fmean(values), stdev(values) / len(values) ** 0.5, len(values) - 1
    if error == 0:
        return mean, mean, 1.0 if mean == 0 else 0.0
    return mean, mean - critical_value(0.05, df) * error, two_sided_p(mean / error, df)


def _marked(cells: Sequence[Cell]) -> list[Cell]:
    """With the significance of each after correction."""
    marked: list[Cell] = []
    for name in dict.fromkeys(cell.direction for cell in cells):
        own = [cell for cell in cells if cell.direction == name]
        adjusted = holm([cell.gold_p if cell.margin_p is None else cell.margin_p for cell in own])
        marked += [
            Cell(**{**asdict(cell), "significant": p < 0.05}) for cell, p in zip(own, adjusted, strict=True)
        ]
    return marked


def _write(subject: Subject, cells: Sequence[Cell]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(asdict(cells[0])))
    writer.writeheader()
    writer.writerows(asdict(cell) for cell in cells)
    write_whole(subject.run.dir / FILE, text.getvalue())
