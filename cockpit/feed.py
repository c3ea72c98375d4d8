"""The one reader of the store while the cockpit is open: a thread that looks, and posts what changed.

A widget leaves a watch: how to read, and whom to tell. The feed asks SQLite whether anything was committed
(`PRAGMA data_version`, microseconds), reads again only then, and posts only what differs from last time: when
nothing changes, nothing is drawn and not a byte goes down the line. Reads never touch a widget. A read that costs much,
such as that of ten thousand jobs by their accuracy, is repeated less often, so that looking costs a few percent of a
core however much there is to see; what a person does is seen at once.
"""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from textual.message import Message
from textual.message_pump import MessagePump

from cockpit.messages import ReadFailed, ReadRecovered
from store.database import Database

POLL_SECONDS = 0.6
LARGEST_SHARE = 1 / 90
"""Of a core, that one watch may take for its reads."""

Read = Callable[[Database], Message]
Stamp = Callable[[], Hashable]


@dataclass(eq=False)
class _Watch:
    target: MessagePump
    read: Read
    stamp: Stamp | None
    seen: Hashable = field(default_factory=object)
    told: Message | None = None
    not_before: float = 0.0


class Feed:
    """Reads for whoever watches. `run` is the body of the thread; the rest may be called from the UI."""

    def __init__(self, database: Database, app: MessagePump, poll_seconds: float = POLL_SECONDS) -> None:
        self.database = database
        self._app = app
        self.poll_seconds = poll_seconds
        self._watches: dict[MessagePump, _Watch] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._hurried = False
        self._failing = False

    def watch(self, target: MessagePump, read: Read, stamp: Stamp | None = None) -> None:
        """Reads now, then after every change, and posts to `target`, which has one watch: a new one replaces it.

        `stamp` is for what is not in the database: the watch is also read again when its result differs.
        """
        with self._lock:
            self._watches[target] = _Watch(target, read, stamp)
        self._wake.set()

    def unwatch(self, target: MessagePump) -> None:
        with self._lock:
            self._watches.pop(target, None)

    def look_now(self) -> None:
        """Does not wait for the next round: something was just written."""
        self._hurried = True
        self._wake.set()

    def show(self, database: Database) -> None:
        """Reads from this view of the store, and at once: from another one, or from another moment of the same."""
        self.database = database
        self._wake.set()

    def stop(self) -> None:
        self._stopped = True
        self._wake.set()

    def run(self) -> None:
        while not self._stopped:
            database = self.database
            try:
                with database.changes() as version:
                    self._follow(database, version)
            except Exception as error:
                self._report(error)
                self._wait()

    def _follow(self, database: Database, version: Callable[[], float]) -> None:
        while not self._stopped and self.database is database:
            with self._lock:
                watches = list(self._watches.values())
            number = version()
            if self._hurried:
                self._hurried = False
                for watch in watches:
                    watch.not_before = 0.0
            for watch in watches:
                self._look(database, watch, number)
            if self._failing and all(watch.told is not None for watch in watches):
                self._failing = False
                self._app.post_message(ReadRecovered())
            self._wait()

    def _look(self, database: Database, watch: _Watch, number: float) -> None:
        try:
            seen = (number, watch.stamp() if watch.stamp else None)
            # The past is looked at once a step, so that no look at it may be left for later.
            if seen == watch.seen or (database.moment is None and time.monotonic() < watch.not_before):
                return
            began = time.thread_time()
            message = watch.read(database)
            watch.not_before = time.monotonic() + (time.thread_time() - began) / LARGEST_SHARE
        except Exception as error:
            # Whatever a read meets (a full disk, a vanished directory) is shown, and tried again at the next round.
            watch.told = None
            self._report(error)
            return
        watch.seen = seen
        if message != watch.told:
            watch.told = message
            watch.target.post_message(message)

    def _report(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            self._app.post_message(ReadFailed(f"{type(error).__name__}: {error}"))

    def _wait(self) -> None:
        # The past changes when somebody steps, and not by itself; what could not be read of it is tried again.
        stands_still = self.database.moment is not None and not self._failing
        self._wake.wait(None if stands_still else self.poll_seconds)
        self._wake.clear()
