"""On whom a token of a packed row depends, by the rule of the layout, and that no prediction depends on its answer.

Pure functions of a row. That the model keeps to the rule is `engines.jepa.proof`'s to show.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from engines.jepa.layout import PackedRow, Pair
from engines.recipe.errors import RecipeError


def sees(row: PackedRow) -> Tensor:
    """Who sees whom directly, `(L, L)` bool, by the rule of `layout.may_attend`: not by the code that makes masks."""
    group, reach = torch.tensor(row.group), torch.tensor(row.reach)
    place = torch.arange(len(group))
    in_block = (group[None, :] == group[:, None]) & (place[None, :] <= place[:, None])
    return torch.where(group[None, :] == 0, place[None, :] < reach[:, None], in_block)


def reachable(row: PackedRow, queries: Sequence[int]) -> Tensor:
    """On whom these tokens depend through any number of layers, `(Q, L)` bool: the transitive closure of `sees`."""
    direct = sees(row)
    found = direct[list(queries)]
    while True:
        further = found | (found.float() @ direct.float() > 0)
        if torch.equal(further, found):
            return found
        found = further


def check_answers_are_hidden(rows: Sequence[PackedRow]) -> None:
    """Refuse rows in which a prediction depends on what it predicts, or what is predicted on the prediction.

    By where steps stand, not by the numbers that say who may see whom: a mask that keeps to wrong numbers is wrong.
    """
    for row in rows:
        for pair in row.pairs:
            source, target = reachable(row, [pair.source, pair.target.end - 1])
            if bool(source[_answer(row, pair)].any()):
                _refuse(row, "a prediction sees what it is to predict")
            if pair.target.start >= row.segments[0].end and bool(target[pair.source]):
                _refuse(row, "what is to be predicted sees its prediction")


def _answer(row: PackedRow, pair: Pair) -> list[int]:
    """All tokens of what is predicted: where it is read, the copy around that, and the original that was copied."""
    read = range(pair.target.start, pair.target.end)
    for segment in row.segments[1:]:
        if segment.start <= pair.target.start < segment.end:
            copy = range(segment.start, segment.end)
            if segment.kind != "target":
                return list(copy)
            first = row.position_ids[segment.start]
            return [*copy, *range(first, first + len(copy))]
    return list(read)


def _refuse(row: PackedRow, what: str) -> None:
    raise RecipeError(
        f"{row.id}: {what}, so its loss would say nothing",
        hint="this is an error of Tunedeck; please report it with the recipe",
    )
