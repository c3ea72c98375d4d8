r"""The default reward: 1 for a right answer in the format that was asked for, else 0.

The format is a gate and not an addend: where it earns points of its own, groups without a right answer learn to pad
the format instead of to solve. The judge is the one of evaluation, `engines.tasks.grading`.
"""

from engines.prompts.spec import PromptSpec
from engines.tasks.grading import Grade

LONGEST_SOLUTION = 64
"""Characters between the solution tags; more is not an answer but text."""


def correct(verdict: Grade) -> bool:
    """The right number stands in the solution tags, closed or not."""
    return verdict.robust and verdict.method in ("solution", "solution_open")


def well_formed(text: str, spec: PromptSpec, min_reasoning_words: int = 1) -> bool:
    """Each tag once and in order, white space alone around them, some working out, and a short solution."""
    pieces, rest = [], text
    for tag in spec.tags:
        before, found, rest = rest.partition(tag)
        if not found:
            return False
        pieces.append(before)
    before_all, reasoning, between, solution = pieces
    return (
        not (before_all + between + rest).strip()
        and not any(tag in piece for tag in spec.tags for piece in (*pieces, rest))
        and len(reasoning.split()) >= min_reasoning_words
        and 0 < len(solution.strip()) <= LONGEST_SOLUTION
    )


def reward(verdict: Grade, formatted: bool, progress: float, format_anneal: float) -> float:
    """`progress` is the share of the training that is done; until `format_anneal` a right answer alone earns half."""
    if not correct(verdict):
        return 0.0
    if formatted:
        return 1.0
    return 0.5 if progress < format_anneal else 0.0
