"""From reasoning steps in a text to reasoning steps in a row of tokens, by characters and offsets.

Nothing is looked for among tokens: `".\\n\\n"` may be one token or three, and a token that is looked for may stand in the
prompt too. The steps are found in the text of the solution, that text in the rendered conversation, and the tokens that
overlap it by the tokenizer's own offsets. A row whose solution has no steps has none; it is counted, never cut otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engines.jepa.fields import StepsBlock
from engines.jepa.rows import Step, SteppedRow
from engines.jepa.splitters import split_steps
from engines.prompts.rendering import render_row
from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.tasks.example import Example
from engines.training.rows import tokenize_row

Span = tuple[int, int]
"""Characters or tokens, `[start, end)`."""


@dataclass(frozen=True)
class StepText:
    """A step in the characters of the rendered conversation."""

    start: int
    content_end: int
    end: int


def stepped_rows(
    tokenizer: Any, spec: PromptSpec, examples: Sequence[Example], steps: StepsBlock
) -> list[SteppedRow]:
    """The rows that `engines.training.rows.tokenize_rows` makes, each with the token spans of its steps.

    Raises RecipeError where the tokenizer has no offsets, or the chat template does not write the solution as it is.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise RecipeError(
            f"steps: {type(tokenizer).__name__} cannot say which characters a token stands for, so steps cannot be "
            "found in its tokens",
            hint="use a model with a fast tokenizer (one that has a tokenizer.json)",
        )
    return [_stepped_row(tokenizer, spec, example, steps) for example in examples]


def _stepped_row(tokenizer: Any, spec: PromptSpec, example: Example, steps: StepsBlock) -> SteppedRow:
    prompt, completion = render_row(tokenizer, spec, example)
    row = tokenize_row(tokenizer, example.id, prompt, completion)
    start, end = reasoning_span(prompt + completion, spec, example)
    found = [
        StepText(start + step_start, start + content_end, start + step_end)
        for step_start, content_end, step_end in split_steps((prompt + completion)[start:end], steps)
    ]
    spans = token_spans(tokenizer, prompt + completion, row.input_ids)
    return SteppedRow(row.id, row.input_ids, row.labels, *map_steps(found, spans, row.prompt_length))


def reasoning_span(text: str, spec: PromptSpec, example: Example) -> Span:
    """Where the working out stands in the rendered conversation, without the tags around it; empty where there is none."""
    content = (example.completion or spec.completion(example.reasoning, example.answer)).strip()
    begin = text.rfind(content)
    if begin < 0:
        raise RecipeError(
            f"{example.id}: the chat template does not write the answer as it is, so its steps cannot be found",
            hint="set `model.chat_template` to a template that leaves the assistant's text alone",
        )
    if example.completion is None:
        start = begin + len(spec.reasoning_start)
        return start, start + len(example.reasoning)
    opened = content.find(spec.reasoning_start)
    closed = content.find(spec.reasoning_end, opened + len(spec.reasoning_start))
    if opened < 0 or closed < 0:
        return begin, begin
    return begin + opened + len(spec.reasoning_start), begin + closed


def token_spans(tokenizer: Any, text: str, input_ids: Sequence[int]) -> list[Span]:
    """The characters of each token, in order and without gaps.

    Some tokenizers leave the blanks out of the offsets of ` word`; here they belong to it. A character of several tokens
    is in the span of each.
    """
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    if list(encoded["input_ids"]) != list(input_ids):
        raise RecipeError("steps: the tokenizer gives other tokens when it is asked for their offsets")
    spans, covered = [], 0
    for start, end in encoded["offset_mapping"]:
        first = min(start, covered)
        covered = max(covered, end)
        spans.append((first, max(first, end)))
    return spans


def map_steps(
    steps: Sequence[StepText], spans: Sequence[Span], first: int = 0
) -> tuple[tuple[Step, ...], int, int, int]:
    """The steps as tokens, from token `first` on; then the three counts of shared tokens that a `SteppedRow` has.

    A token belongs to the first step that it overlaps, so that none is cut. A step without a token of its own text is
    left out, since there is nothing to read it at: all of that text is in the last token of the one before.
    """
    found: list[Step] = []
    token, merged, merged_separators, merged_edges = first, 0, 0, 0
    for number, step in enumerate(steps, start=1):
        while token < len(spans) and spans[token][1] <= step.start:
            token += 1
        start = token
        while token < len(spans) and spans[token][0] < step.content_end:
            token += 1
        content_end = token
        while token < len(spans) and spans[token][0] < step.end:
            token += 1
        if content_end == start:
            continue
        merged_edges += not found and spans[start][0] < step.start
        reaches = spans[token - 1][1]
        merged += reaches > step.end and number < len(steps)
        merged_edges += reaches > step.end and number == len(steps)
        merged_separators += step.content_end < step.end and spans[content_end - 1][1] > step.content_end
        found.append(Step(start, content_end, token))
    return tuple(found), merged, merged_separators, merged_edges
