"""What the user can fix: errors that say where, what is wrong, what is allowed, and how to go on."""

from collections.abc import Sequence
from dataclasses import dataclass


class RecipeError(Exception):
    """Printed as its message and a last line `hint: ...`."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a recipe file. `where` is the dotted key; `line` counts from 1."""

    line: int | None
    where: str
    text: str
    hint: str = ""

    def render(self, file: str) -> str:
        place = f"{file}:{self.line}" if self.line else file
        subject = f"{self.where}: " if self.where else ""
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{place}: {subject}{self.text}{hint}"


class InvalidRecipeError(RecipeError):
    """Everything that is wrong in one file, reported together."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        # The cells of a matrix share most of their keys, and so their mistakes.
        self.problems = sorted(
            dict.fromkeys(problems), key=lambda problem: (problem.line or 0, problem.where)
        )
        super().__init__("\n".join(problem.render(file) for problem in self.problems))
