"""The desk where cards are given out: looks at the driver when a job waits for a card or runs on one, and only then."""

import logging
import time
from typing import Any

from daemon.gpus.cards import Card, Driver
from daemon.gpus.owners import GpuJob
from daemon.gpus.settings import GpuSettings
from daemon.gpus.survey import Survey, survey
from daemon.gpus.watch import SAMPLE_SECONDS, watch
from store import jobs, lifecycle, machine, results
from store.database import Database

log = logging.getLogger(__name__)


class Desk:
    """What one daemon knows of the machine's cards. On a machine without any it never asks again."""

    def __init__(self, database: Database, driver: Driver, settings: GpuSettings) -> None:
        self.database = database
        self._driver = driver
        self._settings = settings
        self._cards = settings.order(driver())
        self._sampled_at = float("-inf")
        self._published: dict[str, str] = {}

    @property
    def count(self) -> int:
        return len(self._cards)

    def entries(self) -> list[dict[str, Any]]:
        """The cards as the cockpit sees them."""
        return [self._entry(card) for card in self._cards]

    def look(self) -> Survey | None:
        """Which cards may be given out now, where a job waits for one. Samples those in use when that is due."""
        if not self._cards:
            return None
        wanted = lifecycle.gpus_wanted(self.database)
        reservations = machine.reservations(self.database)
        due = bool(reservations) and time.monotonic() - self._sampled_at >= SAMPLE_SECONDS
        if not wanted and not due:
            return None
        cards, running = self._driver(), self._running()
        seen = survey(cards, running, reservations, self._settings)
        self._publish(seen)
        if due:
            self._sampled_at = time.monotonic()
            try:
                watch(self.database, cards, running, seen.places)
            except OSError:
                log.exception("a sample is lost")  # a run directory is gone, or the disk is full
        return seen if wanted else None

    def _running(self) -> list[GpuJob]:
        """The jobs that hold cards."""
        found = []
        for job in jobs.list_active(self.database):
            first, *_ = attempts = results.list_attempts(self.database, job.id)
            if devices := attempts[-1].devices:
                process = attempts[-1].process
                worker = process["worker"] if process else None
                run_dir = self.database.run_dir(job.id)
                begun = (first.claimed_at, job.started_at)
                found.append(GpuJob(job.id, job.attempt, tuple(devices), worker, run_dir, *begun))
        return found

    def _publish(self, seen: Survey) -> None:
        """Tells the cockpit why cards are not given out, when that has changed."""
        if seen.blocked != self._published:
            self._published = seen.blocked
            machine.update_gpus(self.database, self.entries())
            for uuid, reason in seen.blocked.items():
                log.warning("GPU %s is not given out: %s", uuid, reason)

    def _entry(self, card: Card) -> dict[str, Any]:
        blocked = self._published.get(card.uuid)
        entry = {"uuid": card.uuid, "name": card.name, "index": card.index, "memory_bytes": card.memory_bytes}
        return entry | ({"blocked": blocked} if blocked else {})
