"""What was asked and how. Two evaluations can be compared when this is equal."""

from collections.abc import Sequence
from typing import Any

from engines.prompts.spec import PromptSpec
from engines.recipe.blocks import SamplingBlock, Split, TaskBlock
from engines.tasks.example import Example
from engines.tasks.grading import VERSION
from engines.tasks.loading import data_hash


def protocol(
    task: TaskBlock, split: Split, examples: Sequence[Example], prompt: PromptSpec, sampling: SamplingBlock
) -> dict[str, Any]:
    """The fields that `tunedeck compare` checks before it compares."""
    return {
        "task": task.name,
        "split": split,
        "questions": len(examples),
        "data_hash": data_hash(examples),
        "prompt_hash": prompt.hash(),
        "sampling": sampling.model_dump(),
        "grading": VERSION,
    }
