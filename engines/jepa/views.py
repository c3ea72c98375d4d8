"""Rows of the methods that know no steps: question against solution (LLM-JEPA), and a bend in the solution (STP)."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engines.jepa.layout import PackedRow, Pair, RowBuilder, Span
from engines.jepa.rows import SteppedRow
from engines.prompts.rendering import render_turn, token_ids
from engines.prompts.spec import PromptSpec
from engines.tasks.example import Example


@dataclass(frozen=True)
class Views:
    """Tokens of the user's turn and of the assistant's, each rendered alone, up to the end of its content."""

    text: list[int]
    code: list[int]


def views_of(tokenizer: Any, spec: PromptSpec, examples: Sequence[Example]) -> dict[str, Views]:
    """By the examples' ids. Without a system prompt, as published.

    What the template writes after the content is left out: nothing that is read comes after it, and it sees nothing back.
    """
    found = {}
    for example in examples:
        question = spec.user_template.replace("{question}", example.question)
        answer = example.completion or spec.completion(example.reasoning, example.answer)
        turns = [("user", question), ("assistant", answer)]
        text, code = (token_ids(tokenizer, render_turn(tokenizer, role, content)) for role, content in turns)
        found[example.id] = Views(text, code)
    return found


def text_and_code(row: SteppedRow, views: Views, *, predictors: int) -> PackedRow:
    """The row, the question with predictors behind it, and the solution: three sequences that do not see each other.

    The last predictor (or the question's last token) predicts the solution's last token (LLM-JEPA, arXiv 2509.14252).
    """
    builder = RowBuilder(row)
    text = builder.add("text", views.text, position=0, reach=0, predictors=predictors)
    code = builder.add("code", views.code, position=0, reach=0)
    target = Span(code.end - 1, code.end, 0)
    return builder.done([Pair(text.end - 1, target)], [target])


def tube(row: SteppedRow, seed: str) -> PackedRow:
    """The row as it is, with three random tokens s < r < t of the solution: the way from s to r predicts that to t.

    `1 - cos(h_r - h_s, h_t - h_r)` as in the paper (Semantic Tube Prediction, arXiv 2602.22617); its published code
    differs. A solution of fewer than three tokens before its end token gets none.
    """
    builder = RowBuilder(row)
    places = range(row.prompt_length, len(row.input_ids) - 1)
    if len(places) < 3:
        return builder.done([])
    start, middle, end = sorted(random.Random(seed).sample(places, 3))
    target = Span(end, end + 1, 0)
    return builder.done([Pair(middle, target, origin=start)], [target])
