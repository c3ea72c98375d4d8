"""What changes while one waits, as sentences: jobs that start and end, warnings, the daemon, an empty queue.

Rate-limited, so that a sweep does not chatter: what comes close together is said together, failures first, and of many
only the most important and a count. `news` says what was left out.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cockpit.figures import Pace, span
from cockpit.health_reads import HealthCheck
from cockpit.plain.sentences import figures_of, job_sentence, name_of
from cockpit.plain.words import counted, spans_in_words
from cockpit.plain_text import plain_line
from store import jobs, metrics
from store.database import Database, StoreError
from store.happenings import Change, Warned, happened_after, newest_place
from store.jobs import Job
from store.machine import daemon_is_running
from store.schema import ACTIVE, FINAL, WAITING, Status


class Verbosity(StrEnum):
    QUIET = "quiet"  # nothing, until one asks
    EVENTS = "events"
    ALL = "all"  # also how far running jobs are


GAP_SECONDS = 3.0
"""Between two announcements."""
PROGRESS_SECONDS = 60.0
MOST_AT_ONCE = 5
_REMEMBERED = 200


@dataclass(frozen=True)
class Item:
    """A sentence, and how much it matters: failures come first."""

    weight: int
    text: str


class News:
    """Looks when it is asked to, and gives what is due to be said."""

    def __init__(
        self, database: Database, verbosity: Verbosity, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database, self.verbosity, self._clock = database, verbosity, clock
        self._place = newest_place(database)
        self._daemon = daemon_is_running(database.home)
        self._had_work = self._has_work()
        self._health: dict[int, HealthCheck] = {}
        self._judged: set[tuple[int, str]] = set()
        self._waiting: list[Item] = []
        self._all: deque[str] = deque(maxlen=_REMEMBERED)
        self._said_at = self._progress_at = clock()
        self._pace = Pace()

    def look(self) -> None:
        """Finds out what has happened since the last time."""
        self._place, changes, warnings = happened_after(self._database, self._place)
        found = [item for change in changes if (item := self._of_change(change))]
        found += [self._of_warning(one) for one in warnings]
        found += self._of_health()
        found += self._of_queue(bool(changes)) + self._of_daemon()
        self._all.extend(item.text for item in found)
        self._waiting += found
        if self.verbosity is Verbosity.ALL and self._clock() - self._progress_at >= PROGRESS_SECONDS:
            self._progress_at = self._clock()
            self._waiting += [Item(0, _sentence(line)) for line in self.running()]

    def due(self) -> list[str]:
        """What is to be said now, unasked; nothing where something was said a moment ago."""
        if self.verbosity is Verbosity.QUIET:
            self._waiting.clear()
        if not self._waiting or self._clock() - self._said_at < GAP_SECONDS:
            return []
        self._said_at = self._clock()
        items, self._waiting = self._waiting, []
        return shortened(items)

    def heard(self) -> list[str]:
        """Everything that was found since the beginning, the newest last."""
        self._waiting.clear()
        return list(self._all)

    def running(self) -> list[str]:
        return [
            job_sentence(self._database, job, self._pace.seconds_left(job))
            for job in jobs.list_active(self._database)
        ]

    def _of_change(self, change: Change) -> Item | None:
        try:
            job = jobs.get_job(self._database, change.job_id)
        except StoreError:
            return None
        status = Status(change.to_status)
        who = f"{job.id}, {name_of(job)}"
        if status is Status.RUNNING:
            return Item(1, f"Job {who}, has started.")
        if status not in FINAL:
            return None
        if status is Status.SUCCEEDED:
            figures = figures_of(self._database, [job]).get(job.id, [])
            return Item(1, _sentence(", ".join([f"job {who}, succeeded", *_took(job), *figures])))
        why = f": {plain_line(change.reason, 300)}" if change.reason else ""
        hint = f" logs {job.id} says more." if status in (Status.FAILED, Status.LOST) else ""
        return Item(1 if status is Status.CANCELLED else 3, _sentence(f"job {who}, {status}{why}") + hint)

    def _of_warning(self, warned: Warned) -> Item:
        return Item(2, _sentence(f"{warned.level} from job {warned.job_id}: {plain_line(warned.text, 300)}"))

    def _of_health(self) -> list[Item]:
        found = []
        active = jobs.list_active(self._database)
        for job in active:
            check = self._health.setdefault(job.id, HealthCheck(self._clock))
            for verdict in check.judge(self._database, job, metrics.list_series(self._database, [job.id])):
                if (job.id, verdict.kind) not in self._judged:
                    self._judged.add((job.id, verdict.kind))
                    found.append(Item(2, _sentence(f"job {job.id}, {name_of(job)}: {verdict.words}")))
        for number in set(self._health) - {job.id for job in active}:
            del self._health[number]
        return found

    def _of_queue(self, has_changed: bool) -> list[Item]:
        if not has_changed:
            return []
        had, self._had_work = self._had_work, self._has_work()
        return (
            [Item(2, "The queue is empty: nothing runs, and nothing waits.")]
            if had and not self._had_work
            else []
        )

    def _of_daemon(self) -> list[Item]:
        before, self._daemon = self._daemon, daemon_is_running(self._database.home)
        if before == self._daemon:
            return []
        if self._daemon:
            return [Item(2, "The daemon runs again.")]
        return [Item(3, "The daemon has gone. Running jobs go on; nothing new starts. up starts it.")]

    def _has_work(self) -> bool:
        counts = jobs.count_by_status(self._database)
        return any(counts.get(status, 0) for status in (*ACTIVE, *WAITING))


def shortened(items: Sequence[Item]) -> list[str]:
    """At most MOST_AT_ONCE sentences: those that matter most, in the order in which it happened, and how many are left out."""
    if len(items) <= MOST_AT_ONCE:
        return [item.text for item in items]
    chosen = sorted(range(len(items)), key=lambda place: (-items[place].weight, -place))[: MOST_AT_ONCE - 1]
    left = len(items) - len(chosen)
    return [
        *(items[place].text for place in sorted(chosen)),
        f"And {counted(left, 'other change')}: news says them.",
    ]


def _took(job: Job) -> list[str]:
    if job.started_at is None or job.ended_at is None:
        return []
    return [f"after {spans_in_words(span(job.ended_at - job.started_at))}"]


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
