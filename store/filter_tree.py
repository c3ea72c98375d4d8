"""A filter of jobs as a tree of small classes. `store/filter_language.py` makes it of words, `store/job_filter.py` makes SQL of it."""

from dataclasses import dataclass

from store.schema import Status


class FilterError(ValueError):
    """What is wrong with a filter, and what is allowed."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(f"{text}; {hint}")
        self.text, self.hint = text, hint


@dataclass(frozen=True)
class Word:
    """Text in any of the columns that people read."""

    text: str


@dataclass(frozen=True)
class Text:
    """Text in one column: somewhere in it, or all of it."""

    field: str
    text: str
    exact: bool


@dataclass(frozen=True)
class Pattern:
    """A regular expression, in one column or (None) in the job's or its experiment's name."""

    field: str | None
    pattern: str


@dataclass(frozen=True)
class States:
    """One of these statuses; with `held`, or held back."""

    statuses: tuple[Status, ...]
    held: bool = False


@dataclass(frozen=True)
class Between:
    """A number within bounds (None: none). A job without the number is not found."""

    field: str
    low: float | None
    high: float | None
    without_ends: bool = False


@dataclass(frozen=True)
class Not:
    of: "Node"


@dataclass(frozen=True)
class Both:
    """All of these; of no nodes: every job."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True)
class Either:
    nodes: tuple["Node", ...]


Node = Word | Text | Pattern | States | Between | Not | Both | Either
EVERYTHING = Both(())
PASSING = ("age", "took")
"""Fields that change by themselves."""


def depends_on_time(node: Node) -> bool:
    """Whether jobs come and go without anything being written."""
    if isinstance(node, Between):
        return node.field in PASSING
    if isinstance(node, Not):
        return depends_on_time(node.of)
    return isinstance(node, Both | Either) and any(map(depends_on_time, node.nodes))
