"""What widgets and screens ask of the cockpit around them, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from textual.message import Message

from store.database import Database


@dataclass
class OpenJob(Message):
    """Show a job on a screen of its own: an evaluation by its results, any other by its curves."""

    job_id: int
    is_evaluated: bool = False


@dataclass
class Compare(Message):
    """Show jobs side by side."""

    job_ids: list[int]


@dataclass
class WithResults(Message):
    """Export the metrics of these jobs, grade their stored completions again, or report on their experiment."""

    wish: Literal["export", "grade again", "report"]
    job_ids: list[int]


@dataclass
class OpenGroups(Message):
    """Show groups and schedules."""


@dataclass
class ChooseRecipe(Message):
    """Show the recipes, to submit one."""


@dataclass
class ChooseTheme(Message):
    """The person wants this theme, now and the next time."""

    name: str


@dataclass
class Wish(Message):
    """Something to write down, off the UI's thread. `act` returns what to tell the user."""

    act: Callable[[Database], str]


@dataclass
class WishRefused(Message):
    """Something the user asked for could not be done."""

    text: str


@dataclass
class WishGranted(Message):
    """Something the user asked for was written down."""

    text: str
