"""What the daemon sees to beside its queue: telling the ends of jobs, and keeping home and logs from growing without end.

What may take long is done by processes of their own, which the loop only starts; what they are to do stands in the home.
"""

import logging
import os
import sys
import time

from daemon import notices
from daemon.log_files import rotate_own, trim_workers
from daemon.settings import Settings
from engines.recipe.sizes import bytes_of
from store import jobs, outbox, paths
from store.database import Database

DAY = 86400.0
PAUSE = 2.0
"""Seconds between two starts of the messenger: the one that was just started has to get as far as its lock."""
LOG_PAUSE = 2.0
"""Seconds between two looks at the size of logs."""
KEPT = "keeping.stamp"
"""Its time is when the home was last kept in order."""

log = logging.getLogger(__name__)


class Chores:
    """The chores of one daemon. Of the first two, a home that configures none has none."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._messenger_at = 0.0
        self._logs_at = 0.0
        notices.begin(database, settings.on_end)
        self._line = outbox.read_cursor(database) or 0

    def round(self) -> None:
        """Does or starts what is due. Costs a query and a look at a directory."""
        if self._settings.on_end:
            self._line = notices.collect(self._database, self._settings.on_end, self._line)
            self._send()
        if self._settings.keep.ages():
            self._keep()
        if time.time() - self._logs_at >= LOG_PAUSE:
            self._logs_at = time.time()
            self._bound_logs()

    def _bound_logs(self) -> None:
        logs = self._settings.logs
        rotate_own(paths.daemon_log(self._database.home), bytes_of(logs.daemon), logs.keep)
        active = jobs.list_active(self._database)
        trim_workers(self._database, active, bytes_of(logs.worker))

    def _send(self) -> None:
        now = time.time()
        if now - self._messenger_at < PAUSE:
            return
        if any(due <= now for _, due in outbox.waiting(self._database.home)):
            self._messenger_at = now
            self._start("daemon.messenger")

    def _keep(self) -> None:
        stamp = self._database.home / KEPT
        if not stamp.exists() or time.time() - stamp.stat().st_mtime >= DAY:
            stamp.touch(mode=0o600)
            os.utime(stamp)
            self._start("daemon.keeping")

    def _start(self, module: str) -> None:
        """In a session of its own, with the daemon's log; the scheduler reaps it."""
        argv = [sys.executable, "-P", "-m", module, "--home", str(self._database.home)]
        nothing = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        try:
            os.posix_spawn(sys.executable, argv, os.environ, setsid=True, file_actions=nothing)
        except OSError as error:
            log.warning("%s cannot be started: %s", module, error)
