"""Where two texts differ, word by word: the words that only one of them has."""

import re
from difflib import SequenceMatcher
from itertools import groupby

MOST_WORDS = 4000
"""Of the two texts together, behind what they begin and end with alike; matching takes time by the square of it."""

_WORD = re.compile(r"\w+|\s|[^\w\s]")
Run = tuple[str, bool]
"""A stretch of a text, and whether only this text has it."""


def word_diff(first: str, second: str) -> tuple[list[Run], list[Run]] | None:
    """Both texts in stretches; None where they are too long to be matched."""
    ours, theirs = _WORD.findall(first), _WORD.findall(second)
    begin = _alike(ours, theirs)
    end = _alike(ours[begin:][::-1], theirs[begin:][::-1])
    middle = ours[begin : len(ours) - end], theirs[begin : len(theirs) - end]
    if sum(map(len, middle)) > MOST_WORDS:
        return None
    is_own = [[False] * len(ours), [False] * len(theirs)]
    matcher = SequenceMatcher(None, *middle, autojunk=False)
    for kind, *places in matcher.get_opcodes():
        if kind != "equal":
            for marks, start, stop in zip(is_own, places[::2], places[1::2], strict=True):
                marks[begin + start : begin + stop] = [True] * (stop - start)
    return _runs(ours, is_own[0]), _runs(theirs, is_own[1])


def _alike(ours: list[str], theirs: list[str]) -> int:
    """How many words both begin with."""
    pairs = zip(ours, theirs, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))


def _runs(words: list[str], own: list[bool]) -> list[Run]:
    """Spaces between two words that stand out stand out too: the eye takes them for one."""
    for place in range(1, len(words) - 1):
        if words[place].isspace() and words[place] != "\n" and own[place - 1] and own[place + 1]:
            own[place] = True
    groups = groupby(zip(words, own, strict=True), key=lambda pair: pair[1])
    return [("".join(word for word, _ in pairs), is_own) for is_own, pairs in groups]
