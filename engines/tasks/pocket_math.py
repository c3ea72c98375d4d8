"""pocket-math: grade-school word problems with worked steps, made here, small enough for a model of a megabyte.

Everything is drawn from fixed seeds: the same problems on every machine, and a question's hash decides its split.
"""

import functools
import random
from operator import add, floordiv, mul, sub

from engines.recipe.errors import RecipeError
from engines.tasks.example import Example
from engines.tasks.splits import OfficialSplit, question_key
from engines.tasks.word_problems import NAMES, ONE_STEP, THINGS, THREE_STEPS, TWO_STEPS, Kind

TRAIN, TEST = 20_512, 1_000
LARGEST = 99
"""No number in a problem or its steps is larger."""

_LEVELS = (ONE_STEP, TWO_STEPS, THREE_STEPS)
_SHARES = (35, 45, 20)
_OPERATIONS = {"+": add, "-": sub, "*": mul, "/": floordiv}


def read(path: str | None, split: OfficialSplit) -> list[Example]:
    """The official split, always the same."""
    if path is not None:
        raise RecipeError(
            f"task.path: pocket-math is generated and reads no file, but the path is {path!r}",
            hint="leave `path` out, or use task gsm8k, which reads any JSONL or Parquet file of that form",
        )
    return list(_problems()[split])


def splits(path: str | None) -> set[OfficialSplit]:
    """Which official splits there are."""
    return {"train", "test"}


@functools.cache
def _problems() -> dict[OfficialSplit, list[Example]]:
    draw = random.Random("pocket-math")
    wanted: dict[OfficialSplit, int] = {"train": TRAIN, "test": TEST}
    found: dict[OfficialSplit, list[Example]] = {"train": [], "test": []}
    seen: set[str] = set()
    while any(len(found[split]) < count for split, count in wanted.items()):
        question, steps, answer = draw_problem(draw)
        key = question_key(question)
        split: OfficialSplit = "test" if int(key[:8], 16) % 20 == 0 else "train"
        if key not in seen and len(found[split]) < wanted[split]:
            seen.add(key)
            example_id = f"pocket-math-{split}-{len(found[split])}"
            found[split].append(Example(example_id, question, "\n".join(steps), str(answer)))
    return found


def draw_problem(draw: random.Random) -> tuple[str, list[str], int]:
    """A question, its steps such as `6*4=24`, and the answer."""
    [level] = draw.choices(_LEVELS, _SHARES)
    kind = draw.choice(level)
    values, steps = draw_numbers(kind, draw)
    name, other = draw.sample(NAMES, 2)
    question = draw.choice(kind.wordings).format(N=name, M=other, things=draw.choice(THINGS), **values)
    return question, steps, values["t"]


def draw_numbers(kind: Kind, draw: random.Random) -> tuple[dict[str, int], list[str]]:
    """Numbers for which all sums come out whole and within bounds."""
    while True:
        values = {name: draw.randint(*limits) for name, limits in kind.numbers.items()}
        steps = _work_out(kind.sums, values)
        if steps is not None:
            return values, steps


def _work_out(sums: str, values: dict[str, int]) -> list[str] | None:
    """The steps in numbers; their results are added to `values`. None where one is not a whole number in bounds."""
    steps = []
    for one_sum in sums.split("; "):
        left, sign, right, _, result = list(one_sum)
        first, second = values[left], values[right]
        if sign == "/" and first % second:
            return None
        values[result] = _OPERATIONS[sign](first, second)
        if not 1 <= values[result] <= LARGEST:
            return None
        steps.append(f"{first}{sign}{second}={values[result]}")
    return steps
