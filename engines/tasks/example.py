"""One question with its worked solution, and text to learn a language from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A row of a task."""

    id: str
    """Task, official split and position there: `gsm8k-test-17`."""
    question: str
    reasoning: str
    """The steps, as prose or sums; never the delimited answer."""
    answer: str
    """The gold number as text, without thousands commas."""
    completion: str | None = None
    """What a model should say to it, word for word, where that is not to be made from reasoning and answer."""
    written_answer: str | None = None
    """The gold as the data has it, where that differs: `2,125`. Only rewards that compare texts want it."""


Document = str | tuple[str, str]
"""A text for pre-training: plain, or what someone says and the reply."""
