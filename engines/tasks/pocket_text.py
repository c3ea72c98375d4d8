"""Plain text in the language of pocket-math, for pre-training: what a base model may know before it is taught.

Sums, questions without their answers, one-step stories that say how they end, scraps of markup, and short dialogues in
which a question is read but not answered. None of it shows how a question is answered: no steps that belong to a
question, and none of the prompt's tags.
"""

import random
import re
from collections.abc import Callable, Sequence

from engines.tasks.example import Document, Example
from engines.tasks.pocket_math import LARGEST
from engines.tasks.word_problems import NAMES, THINGS

_SAID = {
    "+": ("{a} plus {b} is {c}", "{a} and {b} is {c}", "{b} more than {a} is {c}"),
    "-": ("{a} minus {b} is {c}", "{b} less than {a} is {c}", "{b} from {a} is {c}"),
    "*": ("{a} times {b} is {c}", "{a} groups of {b} is {c}"),
    "/": ("{a} divided by {b} is {c}", "{a} shared by {b} is {c}"),
}
_TOLD = {
    "+": (
        "{N} has {a} {things} and gets {b} more, so {N} has {c} {things} now.",
        "{N} has {a} {things}. {M} has {b} more than {N}, which is {c}.",
    ),
    "-": (
        "{N} had {a} {things} and lost {b}, so {c} are left.",
        "{N} has {a} {things}. {M} has {b} fewer than {N}, which is {c}.",
    ),
    "*": (
        "{N} has {a} bags with {b} {things} in each, so there are {c} {things}.",
        "{a} {things} for {b} dollars each cost {c} dollars.",
    ),
    "/": (
        "{a} {things} shared equally among {b} friends are {c} {things} each.",
        "{N} puts {a} {things} into {b} equal rows of {c}.",
    ),
}
_TAG_WORDS = (
    "note", "box", "list", "red", "blue", "page", "line", "start", "end", "working", "out", "word", "small", "big",
    "SOLUTION", "NAME", "ITEM", "sum", "table",
)  # fmt: skip


def plain_text(examples: Sequence[Example], count: int, seed: int) -> list[Document]:
    """`count` short documents. The questions among them are those of `examples`."""
    draw = random.Random(f"pocket-text {seed}")
    kinds = draw.choices(list(_SHARES), list(_SHARES.values()), k=count)
    return [kind(draw, examples) for kind in kinds]


def draw_sum(draw: random.Random) -> tuple[int, str, int, int]:
    """Two numbers, the sign between them, and the result; all within the bounds of pocket-math."""
    while True:
        sign = draw.choice("++--*/")
        if sign == "+":
            a, b = draw.randint(1, LARGEST), draw.randint(1, LARGEST)
            c = a + b
        elif sign == "-":
            a, b = draw.randint(1, LARGEST), draw.randint(1, LARGEST)
            c = a - b
        elif sign == "*":
            a, b = draw.randint(2, 15), draw.randint(2, 15)
            c = a * b
        else:
            b, c = draw.randint(2, 12), draw.randint(1, 33)
            a = b * c
        if 1 <= c <= LARGEST and a <= LARGEST:
            return a, sign, b, c


def _sums(draw: random.Random, examples: Sequence[Example]) -> str:
    if draw.random() < 0.75:
        written = [
            f"{a}{sign}{b}={c}." for a, sign, b, c in (draw_sum(draw) for _ in range(draw.randint(2, 6)))
        ]
        return " ".join(written)
    said = []
    for _ in range(draw.randint(1, 3)):
        a, sign, b, c = draw_sum(draw)
        said.append(draw.choice(_SAID[sign]).format(a=a, b=b, c=c) + ".")
    return " ".join(said)


def _question(draw: random.Random, examples: Sequence[Example]) -> str:
    return draw.choice(examples).question


def _story(draw: random.Random, examples: Sequence[Example]) -> str:
    a, sign, b, c = draw_sum(draw)
    name, other = draw.sample(NAMES, 2)
    return draw.choice(_TOLD[sign]).format(a=a, b=b, c=c, N=name, M=other, things=draw.choice(THINGS))


def _markup(draw: random.Random, examples: Sequence[Example]) -> str:
    tag = "_".join(draw.sample(_TAG_WORDS, 2))
    inside = draw.choice(
        [
            draw.choice(examples).question.partition(". ")[0],
            " ".join(draw.choices(NAMES + THINGS, k=draw.randint(1, 4))),
            str(draw.randint(1, LARGEST)),
        ]
    )
    return f"<{tag}>{inside}</{tag}>"


def _echo(draw: random.Random, examples: Sequence[Example]) -> Document:
    """The reply repeats a sentence or the numbers: it takes reading the question, and says nothing new about it."""
    question = draw.choice(examples).question
    if draw.random() < 0.5:
        return question, ", ".join(re.findall(r"\d+", question)) + "."
    sentences = re.findall(r"[^.?]+[.?]", question)
    return question, draw.choice(sentences).strip()


def _put_in_figures(draw: random.Random, examples: Sequence[Example]) -> Document:
    a, sign, b, c = draw_sum(draw)
    said = draw.choice(_SAID[sign]).partition(" is ")[0].format(a=a, b=b, c=c)
    return f"{said}?", f"{a}{sign}{b}={c}."


_SHARES: dict[Callable[[random.Random, Sequence[Example]], Document], float] = {
    _sums: 0.42,
    _question: 0.10,
    _story: 0.18,
    _markup: 0.05,
    _echo: 0.20,
    _put_in_figures: 0.05,
}
