"""A training row that knows where its reasoning steps are."""

from dataclasses import dataclass

from engines.training.rows import TrainingRow


@dataclass(frozen=True)
class Step:
    """One reasoning step as a span of the row's tokens, `[start, end)`.

    A token that holds the step's last characters together with those of the separator (`".\\n\\n"` is one token for
    Qwen) belongs to the step, so that spans never overlap and no token is cut.
    """

    start: int
    content_end: int
    """Behind the last token that overlaps the step's own text."""
    end: int
    """Behind the last token that overlaps the step's text or the separator that closes it."""


@dataclass(frozen=True)
class SteppedRow(TrainingRow):
    """A row as `sft` trains on it, with the spans of its steps: in order, disjoint, all in the completion."""

    steps: tuple[Step, ...] = ()
