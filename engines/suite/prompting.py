"""How a question of the suite is put: as one user turn through the model's chat template, to its end of sequence.

Training, evaluation and its repetition render through here, so they cannot differ.
"""

from collections.abc import Sequence
from typing import Any

from engines.prompts.rendering import render_prompt
from engines.prompts.spec import PromptSpec
from engines.suite.item import Item


def suite_prompt(system: str = "") -> PromptSpec:
    """No tags and no stop strings: every task's prompt says how it wants to be answered."""
    return PromptSpec(system=system, stop=[])


def render_items(tokenizer: Any, items: Sequence[Item], system: str = "") -> list[str]:
    """The texts that generation starts from."""
    spec = suite_prompt(system)
    return [render_prompt(tokenizer, spec, item.prompt) for item in items]
