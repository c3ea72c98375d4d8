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
    merged: int = 0
    """Tokens that hold the end of one step and the beginning of the next; they belong to the earlier one."""
    merged_separators: int = 0
    """Steps whose last token of their own holds the separator behind it as well, in part or whole."""
    merged_edges: int = 0
    """Tokens that hold the first or the last of the steps' text and some of the text around it, such as a tag."""
