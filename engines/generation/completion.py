"""One generated answer to one prompt, whatever back end produced it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Completion:
    """What a model wrote after a prompt. Scoring needs `prefill + text`."""

    text: str
    """Decoded without the closing end-of-sequence token, cut right after the stop string where one was hit."""
    token_ids: list[int]
    """Every generated token, the closing end-of-sequence token included."""
    terminated: bool
    """The model ended by itself: an end-of-sequence token or a stop string, not the length limit."""
    finish_reason: Literal["stop", "length"]
    """The same in vLLM's words."""
    logprobs: list[float] | None = None
    """Log-probability of each token under what it was drawn from, where a back end was asked for it."""
