"""Right and wrong texts to read activations from: what a direction is made of.

P0  the gold solution with its answer, and with another question's answer of the same form
P1  the gold working out, and the same with one result of a step replaced, and whatever follows from its number
P2  the model's own right and wrong solutions of the same question (the default)

In P0 and P1 what is wrong is drawn from what is right elsewhere, so that its form tells nothing.
"""

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engines.generation.generator import Generator
from engines.generation.scoring import scored_batches
from engines.prompts.rendering import render_prompt, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock
from engines.recipe.errors import RecipeError
from engines.tasks.example import Example
from engines.tasks.scored import ScoredExample
from engines.tasks.splits import question_key

_RESULT = re.compile(r"=\s*\$?(\d+)(?![\d.,]*\d)")
_TRIES = 20


@dataclass(frozen=True)
class Side:
    """One text of a pair set."""

    question: str
    """Id of the question; sides of one question are compared with each other."""
    prompt: str
    """Rendered, up to where the completion begins."""
    completion: str
    label: bool
    """Whether it is right."""
    number: int = 0
    """Among the sides of its question and label."""

    @property
    def key(self) -> str:
        return f"{self.question}/{int(self.label)}/{self.number}"


def answer_pairs(tokenizer: Any, spec: PromptSpec, examples: Sequence[Example], seed: int) -> list[Side]:
    """P0. The wrong answer is another question's gold of the same length and form; each is used as often wrong as right
    where there are enough, so that neither its size nor its last digit gives it away."""
    wrong = _exchanged([example.answer for example in examples], seed)
    sides = []
    for example, other in zip(examples, wrong, strict=True):
        if other is not None:
            prompt = render_prompt(tokenizer, spec, example.question)
            for answer, label in ((example.answer, True), (other, False)):
                text = spec.completion(example.reasoning, answer).removeprefix(spec.prefill)
                sides.append(Side(example.id, prompt, text, label))
    return _some(sides, "P0")


def step_pairs(tokenizer: Any, spec: PromptSpec, examples: Sequence[Example], seed: int) -> list[Side]:
    """P1. One step's result is replaced wherever it occurs from there on, the answer included if it is that number; both
    texts have equally many tokens. Questions without such a step are left out."""
    results = [match[1] for example in examples for match in _RESULT.finditer(example.reasoning)]
    by_digits: dict[int, list[str]] = {}
    for number in results:
        by_digits.setdefault(len(number), []).append(number)
    sides = []
    for example in examples:
        draw = random.Random(f"P1 {seed} {question_key(example.question)}")
        right = spec.completion(example.reasoning, example.answer).removeprefix(spec.prefill)
        wrong = _corrupted(tokenizer, spec, example, right, by_digits, draw)
        if wrong is not None:
            prompt = render_prompt(tokenizer, spec, example.question)
            sides += [Side(example.id, prompt, right, True), Side(example.id, prompt, wrong, False)]
    return _some(sides, "P1")


def on_policy(
    generator: Generator,
    tokenizer: Any,
    spec: PromptSpec,
    examples: Sequence[Example],
    seed: int,
    sampling: SamplingBlock | None = None,
) -> tuple[list[Side], list[ScoredExample]]:
    """P2: the sides of questions with mixed outcomes, and all that was sampled (8 each at temperature 0.7 by default).
    The spec must be the one whose prefill is resolved."""
    sampling = sampling or SamplingBlock(temperature=0.7, num_samples=8)
    scored: dict[int, ScoredExample] = {}
    for batch in scored_batches(generator, tokenizer, spec, examples, sampling, seed):
        scored.update(batch)
    rows = [scored[place] for place in range(len(scored))]
    return mixed_outcomes(tokenizer, spec, rows), rows


def mixed_outcomes(tokenizer: Any, spec: PromptSpec, rows: Iterable[ScoredExample]) -> list[Side]:
    """P2 from what was sampled before. Only solutions that ended and gave one number count: to stop in the middle, or to
    give no answer, is another kind of wrong, and easy to see. What occurs twice counts once."""
    groups: dict[str, dict[bool, list[ScoredExample]]] = {}
    seen = set()
    for row in rows:
        usable = row.terminated and row.extracted is not None and not row.ambiguous
        if usable and (row.example_id, row.completion) not in seen:
            seen.add((row.example_id, row.completion))
            groups.setdefault(row.example_id, {True: [], False: []})[row.robust].append(row)
    sides = [
        Side(
            question,
            render_prompt(tokenizer, spec, row.question),
            row.completion.removeprefix(spec.prefill),
            label,
            number,
        )
        for question, outcomes in groups.items()
        if outcomes[True] and outcomes[False]
        for label in (True, False)
        for number, row in enumerate(outcomes[label])
    ]
    return _some(sides, "P2")


def anticipating(tokenizer: Any, spec: PromptSpec, rows: Iterable[ScoredExample]) -> list[Side]:
    """For `read: prompt_last`: prompts alone, of questions that are mostly solved and of questions that mostly are not.

    One of each makes a pair, in the order of their prompts' lengths, since no question can be both."""
    outcomes: dict[str, list[ScoredExample]] = {}
    for row in rows:
        outcomes.setdefault(row.example_id, []).append(row)
    prompts: dict[bool, list[str]] = {True: [], False: []}
    for samples in outcomes.values():
        solved = sum(row.robust for row in samples)
        if 2 * solved != len(samples):
            prompts[2 * solved > len(samples)].append(render_prompt(tokenizer, spec, samples[0].question))
    right, wrong = (sorted(prompts[label], key=lambda text: (len(text), text)) for label in (True, False))
    count = min(len(right), len(wrong))
    # Evenly out of the longer list, so that both have short and long prompts.
    chosen = (
        [[texts[place * len(texts) // count] for place in range(count)] for texts in (right, wrong)]
        if count
        else []
    )
    return _some(
        [
            Side(f"pair-{place}", text, "", label)
            for label, texts in zip((True, False), chosen, strict=False)
            for place, text in enumerate(texts)
        ],
        "P2 with `prompt_last`",
    )


def balanced(tokenizer: Any, sides: Sequence[Side]) -> list[Side]:
    """One right and one wrong side a question: the two whose numbers of tokens are closest. For sets that the audit
    refuses because wrong solutions are longer."""
    groups: dict[str, dict[bool, list[Side]]] = {}
    for side in sides:
        groups.setdefault(side.question, {True: [], False: []})[side.label].append(side)
    length = {side.key: len(token_ids(tokenizer, side.completion)) for side in sides}
    kept: list[Side] = []
    for outcomes in groups.values():
        pairs: list[tuple[Side, Side]] = [
            (right, wrong) for right in outcomes[True] for wrong in outcomes[False]
        ]
        right, wrong = min(pairs, key=lambda pair: abs(length[pair[0].key] - length[pair[1].key]))
        kept += [right, wrong]
    return kept


def _exchanged(answers: Sequence[str], seed: int) -> list[str | None]:
    """For each answer a different one of the same form (digits as 9), by moving each form's answers round."""
    places: dict[str, list[int]] = {}
    for place, answer in enumerate(answers):
        places.setdefault(re.sub(r"\d", "9", answer), []).append(place)
    found: list[str | None] = [None] * len(answers)
    for form, group in places.items():
        random.Random(f"P0 {seed} {form}").shuffle(group)
        # Equal answers stand together, and moving by the most frequent one's count meets no equal one, if any move does.
        group.sort(key=lambda place: answers[place])
        step = max(Counter(answers[place] for place in group).values())
        for index, place in enumerate(group):
            other = answers[group[(index + step) % len(group)]]
            found[place] = other if other != answers[place] else None
    return found


def _corrupted(
    tokenizer: Any,
    spec: PromptSpec,
    example: Example,
    right: str,
    by_digits: dict[int, list[str]],
    draw: random.Random,
) -> str | None:
    steps = list(_RESULT.finditer(example.reasoning))
    wanted = len(token_ids(tokenizer, right))
    for _ in range(_TRIES if steps else 0):
        step = draw.choice(steps)
        other = draw.choice(by_digits[len(step[1])])
        whole = re.compile(rf"(?<![\d.,]){step[1]}(?![\d.,]*\d)")
        before, after = example.reasoning[: step.start(1)], example.reasoning[step.start(1) :]
        answer = other if example.answer == step[1] else example.answer
        wrong = spec.completion(before + whole.sub(other, after), answer).removeprefix(spec.prefill)
        if other != step[1] and len(token_ids(tokenizer, wrong)) == wanted:
            return wrong
    return None


def _some(sides: list[Side], scheme: str) -> list[Side]:
    if len({side.question for side in sides}) < 2:
        raise RecipeError(
            f"steering: the pair scheme {scheme} finds fewer than 2 questions to compare texts of",
            hint="use more questions or samples, or another scheme (P0, P1, P2)",
        )
    return sides
