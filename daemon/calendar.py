"""Schedules on APScheduler, driven by the daemon's own rounds: no thread of its own, nothing kept that the store has not.

APScheduler holds each schedule with the next time that stands in the store; one whose time passed while no daemon ran is
run once, however often it was missed.
"""

import logging
from datetime import UTC, datetime
from functools import partial
from typing import Any

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.base import BaseScheduler

from engines.recipe.cron import next_time, trigger_of
from store import schedules
from store.database import Database
from store.schedules import Schedule

log = logging.getLogger(__name__)
logging.getLogger("apscheduler").setLevel(logging.WARNING)


class _Rounds(BaseScheduler):  # type: ignore[misc]
    """A scheduler that runs what is due when it is asked, in the thread that asks."""

    def wakeup(self) -> None:
        """Nobody waits: the next round looks again."""

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)

    def round(self) -> float | None:
        """Runs what is due. Returns the seconds to the next."""
        seconds: float | None = self._process_jobs()
        return seconds


class Calendar:
    """The schedules of one home directory."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._rounds = _Rounds(
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        self._rounds.add_executor(DebugExecutor())
        self._rounds.start()

    def round(self) -> float:
        """Queues what is due. Returns the seconds to the next time; infinity when there is none."""
        wanted = {str(row.id): row for row in schedules.list_schedules(self.database)}
        for job in self._rounds.get_jobs():
            if job.id not in wanted:
                self._rounds.remove_job(job.id)
        for key, schedule in wanted.items():
            self._agree(key, schedule)
        seconds = self._rounds.round() if wanted else None
        return float("inf") if seconds is None else max(0.0, seconds)

    def _agree(self, key: str, schedule: Schedule) -> None:
        """Makes APScheduler's entry what the store says."""
        job = self._rounds.get_job(key)
        at = None if schedule.paused else schedule.next_at
        if at is None:
            if job is not None:
                self._rounds.remove_job(key)
        elif job is None or job.next_run_time.timestamp() != at:
            moment: Any = datetime.fromtimestamp(at, UTC)
            run = partial(self._queue, schedule.id)
            self._rounds.add_job(
                run, trigger_of(schedule.cron), id=key, next_run_time=moment, replace_existing=True
            )

    def _queue(self, schedule_id: int) -> None:
        experiment_id = schedules.queue_due(self.database, schedule_id, next_time)
        if experiment_id is not None:
            log.info("schedule %d: experiment %d queued", schedule_id, experiment_id)
