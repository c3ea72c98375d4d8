"""Several configurations on the same questions at once, each given up as soon as no steering has proved better.

What a configuration scores depends on nothing but itself: it is held against the unsteered answers, not against the best so
far, and what was generated beyond the look that ended it is not counted. Every answer goes to its journal as it comes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.generation.append_only import append_lines, read_lines
from engines.steer.directions import Steering
from engines.steer.items import Item, beaten_at, differences, item
from engines.steer.journal import write_jsonl
from engines.steer.subject import Subject
from engines.tasks.example import Example

_LOOK = 10
"""Questions between looks, and twice that before the first."""


@dataclass(eq=False)
class Runner:
    """A configuration with the answers that it has given so far."""

    steering: Steering
    path: Path
    """Where its items go once they are all there."""
    rows: dict[int, Item] = field(default_factory=dict)

    @property
    def journal(self) -> Path:
        return self.path.with_name(self.path.name + ".journal")

    def ready(self) -> list[Item]:
        """Answers to the first questions, as far as none is missing."""
        found: list[Item] = []
        while len(found) in self.rows:
            found.append(self.rows[len(found)])
        return found


def race(
    subject: Subject,
    examples: Sequence[Example],
    unsteered: Sequence[Item],
    runners: Sequence[Runner],
    on_batch: Callable[[], None],
) -> list[list[Item]]:
    """The items of each configuration: of all questions, or up to the look at which it was given up."""
    for runner in runners:
        _recall(runner, examples, unsteered)
    while active := [runner for runner in runners if not _settled(subject, runner, unsteered)]:
        start = min(len(runner.ready()) for runner in active)
        width = max(2 * _LOOK, subject.recipe.batch_size // len(active) // _LOOK * _LOOK)
        wanted = [
            (place, runner)
            for place in range(start, min(len(examples), start + width))
            for runner in active
            if place not in runner.rows
        ]
        for batch in _answered(subject, examples, unsteered, wanted):
            for runner in active:
                own = {place: made for place, other, made in batch if other is runner}
                lines = ({"spec": runner.steering.key, "place": place, "item": own[place]} for place in own)
                append_lines(runner.journal, lines)
                runner.rows |= own
            on_batch()
    found = []
    for runner in runners:
        items = _counted(subject, runner, unsteered)
        if not runner.path.is_file():
            write_jsonl(runner.path, items)
        runner.journal.unlink(missing_ok=True)
        found.append(items)
    return found


def _recall(runner: Runner, examples: Sequence[Example], unsteered: Sequence[Item]) -> None:
    """What an earlier attempt has left. Strength 0 is the unsteered model, bit for bit: the first gate says so."""
    runner.path.parent.mkdir(parents=True, exist_ok=True)
    if runner.steering.spec.alpha == 0:
        runner.rows = dict(enumerate(unsteered[: len(examples)]))
    elif runner.path.is_file():
        runner.rows = dict(enumerate(read_lines(runner.path)))
    else:
        lines = read_lines(runner.journal)
        runner.rows = {line["place"]: line["item"] for line in lines if line["spec"] == runner.steering.key}


def _answered(
    subject: Subject,
    examples: Sequence[Example],
    unsteered: Sequence[Item],
    wanted: Sequence[tuple[int, Runner]],
) -> Iterator[list[tuple[int, Runner, Item]]]:
    asked = [(examples[place], 0, runner.steering) for place, runner in wanted]
    for batch in subject.answers(asked, subject.recipe.greedy):
        yield [
            (
                wanted[number][0],
                wanted[number][1],
                item(row, subject.correct(row), unsteered[wanted[number][0]]["completion"]),
            )
            for number, row in batch
        ]


def _counted(subject: Subject, runner: Runner, unsteered: Sequence[Item]) -> list[Item]:
    """The answers up to the look that ends it; all that there are where none does."""
    ready = runner.ready()
    return ready[: _beaten_at(subject, ready, unsteered)]


def _settled(subject: Subject, runner: Runner, unsteered: Sequence[Item]) -> bool:
    ready = runner.ready()
    return len(ready) == len(unsteered) or _beaten_at(subject, ready, unsteered) is not None


def _beaten_at(subject: Subject, ready: Sequence[Item], unsteered: Sequence[Item]) -> int | None:
    return beaten_at(differences(ready, unsteered)) if subject.recipe.search.race else None
