"""N-grams of words: how much texts share, and which training questions share too much with the test."""

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"\w+|[^\w\s]")
DECONTAMINATION = 8
"""Words in a row that a training question may not share with a test question."""


def ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    """Every n words in a row, punctuation marks being words; a shorter text is one n-gram."""
    words = _WORD.findall(text.casefold())
    if not words:
        return set()
    return {tuple(words[start : start + n]) for start in range(max(1, len(words) - n + 1))}


def similarity(first: str, second: str, n: int = 5) -> float:
    """Jaccard similarity of the n-grams, exact: groups are small, so nothing is gained by MinHash's estimate of it."""
    a, b = ngrams(first, n), ngrams(second, n)
    return len(a & b) / len(a | b) if a or b else 1.0


def share_within(text: str, other: str, n: int = 3) -> float:
    """The share of a text's n-grams that another text has too."""
    own = ngrams(text, n)
    return len(own & ngrams(other, n)) / len(own) if own else 0.0


def distinct_share(texts: Iterable[str], n: int = 3) -> float:
    """Distinct-n (Li et al. 2016): different n-grams among all n-grams of all texts. 0 where there is no text."""
    found, total = set(), 0
    for text in texts:
        own = ngrams(text, n)
        found |= own
        total += len(own)
    return len(found) / total if total else 0.0


def contaminated(questions: Sequence[str], held_out: Iterable[str], n: int = DECONTAMINATION) -> list[bool]:
    """Which questions share n words in a row with a held-out one. Questions shorter than n words must be equal."""
    forbidden: set[tuple[str, ...]] = set()
    for question in held_out:
        forbidden |= ngrams(question, n)
    return [not ngrams(question, n).isdisjoint(forbidden) for question in questions]
