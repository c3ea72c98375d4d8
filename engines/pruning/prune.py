"""From all that a model wrote to what it is trained on: right, sound, different, and exactly as much as was asked for."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from engines.prompts.spec import PromptSpec
from engines.pruning.attempts import plain_reasoning
from engines.pruning.selection import Level, Pick, Solution, pick, without_repetitions
from engines.pruning.steps import steps_in
from engines.tasks.example import Example
from engines.tasks.grading import grade
from engines.tasks.scored import ScoredExample
from engines.tasks.splits import question_key

OWN_FORMAT = "strict"
"""The grader whose solutions are written anew in the prompt's format; for others the model's own text is trained on."""


@dataclass(frozen=True)
class Rules:
    """What a sample must be to be kept, and how many of a question's are."""

    grader: str
    finished_only: bool
    step_check: bool
    dedupe: Sequence[Level]
    pick: Pick
    max_per_question: int
    seed: int


def right_solutions(
    rows: Sequence[ScoredExample],
    rules: Rules,
    spec: PromptSpec,
    *,
    source: str = "generated",
    first: int = 0,
) -> tuple[list[Solution], Counter[str]]:
    """The samples that may be trained on, and why the others may not. `first` is added to the sample numbers."""
    kept, counts = [], Counter(samples=len(rows))
    for row in rows:
        verdict = grade(row.completion, row.gold, spec, row.terminated)
        reasoning = plain_reasoning(verdict.thinking or "")
        if not getattr(verdict, rules.grader):
            counts["wrong"] += 1
        elif rules.finished_only and not row.terminated:
            counts["unfinished"] += 1
        elif rules.grader == OWN_FORMAT and not reasoning:
            counts["without_reasoning"] += 1
        elif rules.step_check and not all(step.holds for step in steps_in(reasoning or row.completion)):
            counts["wrong_steps"] += 1
        else:
            kept.append(
                Solution(
                    row.example_id, first + row.sample, reasoning or row.completion, row.completion, source
                )
            )
    return kept, counts


def by_question(solutions: Sequence[Solution], rules: Rules) -> dict[str, list[Solution]]:
    """The different solutions of each question, the preferred ones first, at most as many as the rules allow."""
    groups: dict[str, list[Solution]] = {}
    for solution in solutions:
        groups.setdefault(solution.example_id, []).append(solution)
    different = {key: without_repetitions(group, rules.dedupe) for key, group in groups.items()}
    return {
        key: pick(group, rules.pick, rules.max_per_question, rules.seed) for key, group in different.items()
    }


def eval_part(examples: Sequence[Example], count: int) -> set[str]:
    """Ids of the questions that no round trains on: the same in all rounds, and at most a tenth of them."""
    ranked = sorted(examples, key=lambda example: question_key(example.question, "eval part"))
    return {example.id for example in ranked[: min(count, len(examples) // 10)]}


def split_rows(
    chosen: Mapping[str, Sequence[Solution]],
    examples: Sequence[Example],
    held_out: Collection[str],
    train_size: int | None,
) -> tuple[list[Solution], list[Solution]]:
    """Rows to train on, `train_size` of them where there are as many, and one a question for evaluation.

    The split is by question. Every question comes once before any comes twice, in the order of the examples.
    """
    train = [
        (rank, position, solution)
        for position, example in enumerate(examples)
        if example.id not in held_out
        for rank, solution in enumerate(chosen.get(example.id, ()))
    ]
    train.sort(key=lambda row: row[:2])
    evaluation = [
        chosen[example.id][0] for example in examples if example.id in held_out and chosen.get(example.id)
    ]
    rows = [solution for _, _, solution in train][:train_size]
    assert not {row.example_id for row in rows} & {row.example_id for row in evaluation}
    return rows, evaluation


def as_example(solution: Solution, example: Example, grader: str) -> Example:
    """What is trained on: the reasoning in the prompt's format, or the model's own text, word for word."""
    if grader == OWN_FORMAT:
        return replace(example, reasoning=solution.reasoning)
    text = solution.text or f"{solution.reasoning}\n#### {example.answer}"
    return replace(example, reasoning=solution.reasoning, completion=text)
