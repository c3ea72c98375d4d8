"""The test split, opened once: behind a lock that names all that its figures will depend on."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engines.recipe.errors import RecipeError
from engines.steer.directions import Steering
from engines.steer.items import Comparison, Item, compare, item
from engines.steer.journal import Batches, hash_of, kept_rows, write_json
from engines.steer.subject import Subject
from engines.tasks.example import Example
from engines.tasks.loading import data_hash, load_examples
from engines.tasks.scored import ScoredExample, from_fields

LOCK = "test_lock.json"
ROWS = "test.jsonl"


@dataclass(frozen=True, eq=False)
class Final:
    """The test, by name of what was tried: `baseline`, `winner`, `control`."""

    examples: list[Example]
    rows: dict[str, list[ScoredExample]]
    items: dict[str, list[Item]]
    comparisons: dict[str, Comparison]
    """Of `winner` and `control` with the baseline."""


def test_once(subject: Subject, tried: dict[str, Steering | None]) -> Final:
    """Lock, then answer the test's questions with the unsteered model and all that is tried, together.

    What is None is the unsteered model, and has its answers."""
    examples = load_examples(subject.recipe.task, "test")[: subject.recipe.splits.test]
    steered = {name: steering for name, steering in tried.items() if steering is not None}
    names = ["baseline", *steered]
    key = lock(subject, {name: steering.key for name, steering in steered.items()}, examples)
    asked = [(place, name) for place in range(len(examples)) for name in names]

    def make(missing: list[int]) -> Batches:
        wanted = [(examples[asked[at][0]], 0, steered.get(asked[at][1])) for at in missing]
        for batch in subject.answers(wanted, subject.recipe.greedy):
            yield [
                (missing[place], {"tried": asked[missing[place]][1], "example": asdict(row)})
                for place, row in batch
            ]

    keys = [f"{examples[place].id}/{name}" for place, name in asked]
    stored = kept_rows(subject.run.dir / ROWS, key, keys, make, subject.tick)
    rows = {name: [from_fields(row["example"]) for row in stored if row["tried"] == name] for name in names}
    for name in tried:
        rows.setdefault(name, rows["baseline"])
    plain = rows["baseline"]
    items = {
        name: [item(row, subject.correct(row), base.completion) for row, base in zip(own, plain, strict=True)]
        for name, own in rows.items()
    }
    comparisons = {
        name: compare(own, items["baseline"], subject.run.seed)
        for name, own in items.items()
        if name != "baseline"
    }
    return Final(examples, rows, items, comparisons)


def lock(subject: Subject, specs: dict[str, str], examples: Sequence[Example]) -> str:
    """The hash of all that the test's figures depend on, now the only one that this run may test.

    RecipeError where the lock has another one. Every attempt is written down."""
    parts: dict[str, Any] = {
        "steerings": specs,
        "data": data_hash(examples),
        "splits": hash_of(subject.splits.record()),
        **subject.asked,
    }
    wanted = hash_of(parts)
    path = subject.run.dir / LOCK
    found: dict[str, Any] = (
        json.loads(path.read_text(encoding="utf-8"))
        if path.is_file()
        else {"hash": wanted, "parts": parts, "attempts": []}
    )
    allowed = found["hash"] == wanted
    found["attempts"].append({"time": time.time(), "hash": wanted, "allowed": allowed})
    write_json(path, found)
    if not allowed:
        changed = [name for name in parts if found["parts"].get(name) != parts[name]]
        raise RecipeError(
            f"steering: this run has tested something else already ({', '.join(changed)} differ): "
            "a test that is looked at twice is no test",
            hint="queue a new job, and report both",
        )
    return wanted
