"""Completions that nobody had to generate, and models to look at them with."""

from collections.abc import Callable

import pytest

from engines.ppo.batches import Row
from engines.suite.item import make_item


@pytest.fixture
def make_row() -> Callable[..., Row]:
    """A row of token ids; what is not given is unremarkable."""

    def make(prompt_ids, response_ids, unit=0, group=0, reward=0.0, **fields):
        filled = {"score": reward, "truncated": False, "outcome": "graded", "fallback": False, **fields}
        item = make_item("micro_math", f"next {group}", "1")
        return Row(item, unit, group, list(prompt_ids), list(response_ids), reward, **filled)

    return make


@pytest.fixture
def rows(make_row):
    """Two units of three questions with two completions each, of unlike lengths."""
    found = []
    for unit in range(2):
        for question in range(3):
            group = 3 * unit + question
            for sample in range(2):
                prompt = [7 + group] * (3 + question)
                response = [20 + group + at for at in range(1 + (sample + question) % 3)]
                found.append(make_row(prompt, response, unit, group, reward=float((group + sample) % 2)))
    return found
