"""Of the questions of a case, those with certain words in them, or with a certain kind of mistake."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cockpit.compare_reads import Pairing
from engines.tasks.errors import CLASSES, mistake
from store import results
from store.database import Database
from store.results import ScoredExample

Key = tuple[str, int]
KINDS = ("", *CLASSES)
"""No filter, then every kind of mistake that there is."""


@dataclass(frozen=True)
class Sought:
    """What is looked for; all of it must hold."""

    text: str = ""
    """Stands in the question, the gold answer or a completion, in whatever case."""
    kind: str = ""
    """Kind of the mistake in the wrong completion; of two wrong ones, in either."""

    def __bool__(self) -> bool:
        return bool(self.text or self.kind)


def find(
    database: Database, pairing: Pairing, sought: Sought, stopped: Callable[[], bool] = lambda: False
) -> set[Key]:
    """The (example id, sample) of all examples that are sought. Reads them all; `stopped` ends it early."""
    jobs = pairing.baseline.job.id, pairing.entry.job.id
    first, second = (
        {(e.example_id, e.sample): e for e in results.list_examples(database, job)} for job in jobs
    )
    found: set[Key] = set()
    for key in first.keys() & second.keys():
        if stopped():
            break
        pair = first[key], second[key]
        if _has(pair, sought.text) and (not sought.kind or sought.kind in kinds_of(pair)):
            found.add(key)
    return found


def kinds_of(pair: Sequence[ScoredExample]) -> list[str]:
    """The kinds of mistakes in the wrong ones of these completions; empty where a task's cannot be told."""
    return [kind for example in pair if (kind := kind_of(example))]


def kind_of(example: ScoredExample) -> str:
    """The kind of mistake; empty for a right one, and where a task has no worked solutions to tell it from."""
    fields = example.fields
    try:
        found = mistake(fields)
    except (KeyError, ValueError):
        # These two need no solution, and come before all others.
        if fields.get("robust") or example.robust:
            return ""
        if not fields.get("terminated", True):
            return "truncated"
        return "no_answer" if fields.get("extracted") is None else ""
    return found.kind if found else ""


def _has(pair: Sequence[ScoredExample], text: str) -> bool:
    fields = [example.fields for example in pair]
    texts = [
        fields[0].get("question", ""),
        fields[0].get("gold", ""),
        *(f.get("completion", "") for f in fields),
    ]
    return any(text.casefold() in str(one).casefold() for one in texts)
