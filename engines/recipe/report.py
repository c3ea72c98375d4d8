"""Collects what is wrong with a recipe, each finding at its line."""

from collections.abc import Sequence

from engines.recipe.document import Document, KeyPath
from engines.recipe.errors import Problem


class Report:
    """The problems of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def add(self, path: KeyPath, text: str, hint: str = "", line: int | None = None) -> None:
        where = ".".join(str(part) for part in path)
        self.problems.append(Problem(line or self.line([path]), where, text, hint))

    def line(self, candidates: Sequence[KeyPath]) -> int | None:
        """The line of the longest known path: a missing or nested key is shown at its parent."""
        for candidate in candidates:
            if candidate in self.document.lines:
                return self.document.lines[candidate]
        for candidate in candidates:
            for end in range(len(candidate) - 1, 0, -1):
                if candidate[:end] in self.document.lines and candidate[:end] != ("defaults",):
                    return self.document.lines[candidate[:end]]
        return self.document.lines.get(())
