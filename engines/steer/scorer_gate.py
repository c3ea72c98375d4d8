"""The scorer's own test: gold answers must be right in every spelling, and near misses wrong, before anything is searched.

A search maximises whatever the scorer pays for; a scorer that misses thousands separators, or pays for a number that
merely occurs, is what it finds.
"""

from collections.abc import Sequence

from engines.prompts.spec import PromptSpec
from engines.tasks.example import Example
from engines.tasks.grading import grade

_SPELLINGS: tuple[tuple[str, str, bool], ...] = (
    ("1200", "1,200", True),
    ("1200", "$1,200", True),
    ("1200", "1200.", True),
    ("1200", "1,200.00", True),
    ("1200", "1200 dollars", True),
    ("40", "40%", True),
    ("0.5", "1/2", True),
    ("-3", "-3", True),
    ("18", "18.0", True),
    ("1200", "1", False),
    ("1200", "200", False),
    ("1200", "12000", False),
    ("18", "18.01", False),
    ("18", "19", False),
    ("3", "-3", False),
    ("18", "", False),
)
"""Gold, what stands in the answer's place, whether it is right."""
_TEXTS: tuple[tuple[str, str, bool], ...] = (
    ("72", "\\boxed{72}", True),
    ("72", "#### 7\nNo, wait.\n#### 72", True),
    ("7", "#### 7\nNo, wait.\n#### 72", False),
    ("72", "The answer is 72.", True),
    ("72", "There were 72 at first. The answer is 70.", False),
    ("72", "nothing", False),
)
"""Gold, a text without the format that was asked for, whether its answer is right."""


def scorer(spec: PromptSpec, examples: Sequence[Example]) -> tuple[bool, dict[str, float | int], str]:
    """Whether it passes, how many of each kind did, and what the first failure is."""
    failures = []
    for example in examples:
        text = spec.completion(example.reasoning, example.answer)
        verdict = grade(text, example.answer, spec, terminated=True)
        if not (verdict.strict and verdict.robust):
            failures.append(f"the gold answer of {example.id} is graded wrong")
    golden = len(examples) - len(failures)
    for gold, written, right in _SPELLINGS:
        text = f"{spec.solution_start}{written}{spec.solution_end}"
        if grade(text, gold, spec, terminated=True).strict != right:
            failures.append(f"{written!r} for {gold} is graded {'wrong' if right else 'right'}")
    for gold, text, right in _TEXTS:
        if grade(text, gold, spec, terminated=True).robust != right:
            failures.append(f"{text!r} for {gold} is graded {'wrong' if right else 'right'}")
    table = len(_SPELLINGS) + len(_TEXTS)
    figures: dict[str, float | int] = {
        "gold_answers": len(examples),
        "gold_right": golden,
        "cases": table,
        "cases_right": table + len(examples) - golden - len(failures),
    }
    return not failures, figures, failures[0] if failures else ""
