"""Who goes into which split, and in which order: decided by hashes of the question, so that it never drifts.

The order of a file, a shuffled copy of it, or other white space in it change nothing.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal

from engines.tasks.example import Example

OfficialSplit = Literal["train", "test"]
"""What datasets come with; `dev` is carved out of `train`."""


def question_key(question: str, salt: str = "") -> str:
    """A stable hash of the question as a reader sees it: case, width and white space do not count."""
    normalised = " ".join(unicodedata.normalize("NFKC", question).casefold().split())
    return hashlib.sha256(f"{salt}\n{normalised}".encode()).hexdigest()


def distinct(examples: Iterable[Example], seen: Iterable[str] = ()) -> list[Example]:
    """The examples whose question is new: not among the keys `seen`, and not a repetition of an earlier one."""
    keys = set(seen)
    fresh = []
    for example in examples:
        key = question_key(example.question)
        if key not in keys:
            keys.add(key)
            fresh.append(example)
    return fresh


def carve_dev(examples: Sequence[Example], count: int) -> tuple[list[Example], list[Example]]:
    """Train and dev: dev is the `count` examples with the smallest hash. Both keep the order of the file."""
    ranked = sorted(examples, key=lambda example: question_key(example.question, "dev"))
    dev_ids = {example.id for example in ranked[:count]}
    train = [example for example in examples if example.id not in dev_ids]
    return train, [example for example in examples if example.id in dev_ids]


def permuted(examples: Iterable[Example], seed: int) -> list[Example]:
    """A seeded shuffle in which every prefix is a sample, so that sample budgets are nested."""
    return sorted(examples, key=lambda example: question_key(example.question, f"sample {seed}"))
