"""What the queue lets people wish of one job or of all that are marked: asked once, written down off the UI, reported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.message import Message
from textual.screen import Screen

from cockpit import bulk
from cockpit.asked import Wish
from cockpit.bulk import Act, Report
from cockpit.plain_text import plain_line
from cockpit.screens.asking import AskScreen
from cockpit.screens.confirm import ConfirmScreen
from cockpit.widgets.cells import Cell
from store import reorder, wishes
from store.database import Database
from store.queue import JobRow
from store.reorder import LARGEST
from store.schema import ACTIVE

MANY = 200
"""From so many jobs on, a wish takes long enough to say that it has begun."""


@dataclass
class Chosen:
    """The jobs that a key is for, and the row of the one where it is one."""

    ids: Sequence[int]
    row: JobRow | None
    active: int
    """How many of them run."""

    @property
    def words(self) -> str:
        if self.row:
            return f"job {self.row.id}, {plain_line(self.row.name, 80)}"
        return f"{len(self.ids)} jobs"


@dataclass
class Reported(Message):
    """What became of a wish for several jobs. `undoable` are cancelled and can be brought back."""

    report: Report
    undoable: list[int]


def cancel(screen: Screen[None], chosen: Chosen) -> None:
    """At once for a single waiting job; else after a question."""

    def do() -> None:
        wish(
            screen,
            chosen.ids,
            wishes.request_cancel,
            "asked to stop" if chosen.row and chosen.active else "cancelled",
        )

    active = chosen.row.status in ACTIVE if chosen.row else chosen.active > 0
    if chosen.row and not active:
        do()
        return
    running = "It stops" if chosen.row else f"{chosen.active} of them run: they stop"
    keeps = "keeps a checkpoint" if chosen.row else "keep checkpoints"
    consequence = f"{running} at the next step and {keeps}, from which a retry goes on." if active else ""
    if not chosen.row:
        consequence = f"{consequence} What waits is cancelled; `u` takes that back.".strip()
    _ask(
        screen,
        f"Cancel {chosen.words}?",
        consequence,
        f"Cancel {'the job' if chosen.row else chosen.words}",
        do,
    )


def each(screen: Screen[None], chosen: Chosen, act: Act, verb: str, question: str) -> None:
    """One job at once; several after a question that says how many. `question` is the verb of it."""

    def do() -> None:
        wish(screen, chosen.ids, act, verb)

    if chosen.row:
        do()
    else:
        consequence = "Jobs for which that makes no sense are left as they are, and named."
        _ask(screen, f"{question} {chosen.words}?", consequence, f"{question} {chosen.words}", do)


def ask_priority(screen: Screen[None], chosen: Chosen) -> None:
    def check(text: str) -> str:
        try:
            return "" if abs(int(text)) <= LARGEST else f"from -{LARGEST} to {LARGEST}"
        except ValueError:
            return "that is no whole number"

    def answered(text: str | None) -> None:
        if text:
            wish(screen, chosen.ids, bulk.give_priority(int(text)), f"given priority {int(text)}")

    value = str(chosen.row.priority) if chosen.row else "0"
    hint = "higher runs first; enter sets it"
    screen.app.push_screen(AskScreen(f"Priority of {chosen.words}", hint, value, check), answered)


def move(screen: Screen[None], row: JobRow, where: reorder.Where) -> None:
    screen.post_message(Wish(lambda database: reorder.move_job(database, row.id, where)))


def wish(screen: Screen[None], ids: Sequence[int], act: Act, verb: str) -> None:
    if len(ids) >= MANY:
        screen.notify(f"{len(ids)} jobs: this takes a moment...", timeout=3)

    def do(database: Database) -> str:
        report = bulk.act_on(database, ids, act, verb)
        screen.post_message(Reported(report, bulk.cancelled_before_start(report)))
        return report.gist

    screen.post_message(Wish(do))


def refusals(report: Report) -> list[list[Cell]]:
    lines: list[list[Cell]] = [[(report.gist, "strong")], []]
    for _, text in report.refused:
        first, *more = text.split("\n")
        lines.append([("✗ ", "bad"), (plain_line(first, 300), "")])
        lines += [[("    ", ""), (plain_line(line, 300), "muted")] for line in more]
    return lines


def _ask(screen: Screen[None], question: str, consequence: str, yes: str, do: Callable[[], None]) -> None:
    def answered(agreed: bool | None) -> None:
        if agreed:
            do()

    screen.app.push_screen(ConfirmScreen(question, consequence, yes), answered)
