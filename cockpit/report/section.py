"""A part of a report: a title, a table and lines of text."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Section:
    """A title, a table, and lines below it; each may be missing."""

    title: str
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    right: str = ""
    """An `r` for each column to be flushed right."""
    lines: Sequence[str] = field(default=())
