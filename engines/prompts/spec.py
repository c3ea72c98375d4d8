"""How a question is put to a model and how its answer is delimited: the `prompt:` block of a recipe.

One spec serves training, generation and grading, and its hash is stored with every result, so that two runs
with different prompts are never compared by accident. Nothing here loads a tokenizer or torch.
"""

import hashlib
import json
from typing import Any

from pydantic import Field, field_validator, model_validator

from engines.recipe.blocks import Block

TAGS = {
    "reasoning_start": "<start_working_out>",
    "reasoning_end": "<end_working_out>",
    "solution_start": "<SOLUTION>",
    "solution_end": "</SOLUTION>",
}

SYSTEM = (
    "You are given a problem.\n"
    "Think about the problem and provide your working out.\n"
    "Place it between {reasoning_start} and {reasoning_end}.\n"
    "Then, provide your solution between {solution_start}{solution_end}"
)


def _with_tags(text: str, tags: dict[str, str]) -> str:
    # Not str.format: prompts may hold braces of their own.
    for name, tag in tags.items():
        text = text.replace("{" + name + "}", tag)
    return text


class PromptSpec(Block):
    """How questions are put and answers are delimited. The tags are plain text, never special tokens."""

    system: str = _with_tags(SYSTEM, TAGS)
    """System message; `{reasoning_start}` and the like become the tags. Empty: no system message."""
    user_template: str = "{question}"
    """The user's turn; `{question}` becomes the question."""
    reasoning_start: str = TAGS["reasoning_start"]
    """Opens the working out."""
    reasoning_end: str = TAGS["reasoning_end"]
    """Closes the working out."""
    solution_start: str = TAGS["solution_start"]
    """Opens the answer."""
    solution_end: str = TAGS["solution_end"]
    """Closes the answer."""
    prefill: str = ""
    """Text that the generation prompt ends with; it is scored together with what the model adds to it."""
    stop: list[str] = Field([TAGS["solution_end"]])
    """Generation stops after any of these strings (and at the end-of-sequence token)."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_tags(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        tags = {name: str(data.get(name, default)) for name, default in TAGS.items()}
        system = data.get("system", SYSTEM)
        filled = {"stop": [tags["solution_end"]], **data}
        return {**filled, "system": _with_tags(system, tags) if isinstance(system, str) else system}

    @field_validator("user_template")
    @classmethod
    def _asks_the_question(cls, template: str) -> str:
        if "{question}" not in template:
            raise ValueError("`user_template` must contain `{question}`")
        return template

    @field_validator("stop")
    @classmethod
    def _stops_on_text(cls, stop: list[str]) -> list[str]:
        if not all(stop):
            raise ValueError("`stop` must not contain an empty string")
        return stop

    @model_validator(mode="after")
    def _tags_differ(self) -> "PromptSpec":
        if len(set(self.tags)) < len(TAGS) or not all(tag.strip() for tag in self.tags):
            raise ValueError("the four tags must be non-empty and differ from each other")
        return self

    @property
    def tags(self) -> tuple[str, str, str, str]:
        return self.reasoning_start, self.reasoning_end, self.solution_start, self.solution_end

    def messages(self, question: str) -> list[dict[str, str]]:
        """The conversation up to the model's turn."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, {"role": "user", "content": self.user_template.replace("{question}", question)}]

    def completion(self, reasoning: str, answer: str) -> str:
        """What the model should say: the text that training shows it and that grading expects."""
        return f"{self.reasoning_start}{reasoning}{self.reasoning_end}{self.solution_start}{answer}{self.solution_end}"

    def hash(self) -> str:
        """16 hex characters that differ whenever any field does."""
        canonical = json.dumps(self.model_dump(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]
