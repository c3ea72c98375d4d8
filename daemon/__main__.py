"""`python -P -m daemon`: the one daemon of a home directory, in the foreground until it is asked to stop."""

import argparse
import contextlib
import fcntl
import logging
import os
import select
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from daemon.calendar import Calendar
from daemon.chores import Chores
from daemon.environment import passed_on
from daemon.gpus.cards import Driver, open_driver, pretended
from daemon.gpus.desk import Desk
from daemon.launch import Machine
from daemon.nursery import Nursery
from daemon.scheduler import Scheduler
from daemon.settings import Settings, read_settings
from daemon.slurm.cluster import Cluster
from engines.recipe.errors import RecipeError
from store import machine, paths
from store.database import DamagedError, Database, StoreError, open_database
from store.rebuild import set_aside

BUSY_SECONDS = 0.5
"""Between two rounds while jobs run: how stale a curve may be."""
IDLE_SECONDS = 5.0
"""Between two rounds while nothing runs; a nudge wakes it at once."""

LOCK_TRIES = 10
LOCK_TRY_SECONDS = 0.05

log = logging.getLogger("daemon")


def main(argv: list[str] | None = None) -> int:
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(prog="python -P -m daemon", description=__doc__)
    parser.add_argument("--home", type=Path, default=paths.home())
    parser.add_argument("--cpu-slots", type=int, default=max(min(2, cores), cores // 4))
    parser.add_argument("--pretend-gpus", type=int, metavar="N", help="give out N invented GPUs, for trials")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    paths.create(arguments.home)
    if not take_lock(arguments.home):
        log.error("another daemon runs in %s", arguments.home)
        return 1
    try:
        settings = read_settings(paths.config(arguments.home))
    except RecipeError as error:
        log.error("%s", error)
        return 1
    driver = open_driver() if arguments.pretend_gpus is None else pretended(arguments.pretend_gpus)
    try:
        return serve(open_database(arguments.home), driver, settings, arguments.cpu_slots, cores)
    except DamagedError as error:
        log.error("%s", error)
        log.error("set aside as %s; running jobs go on", set_aside(arguments.home))
    except StoreError as error:
        log.error("%s", error)
    return 1


def serve(database: Database, driver: Driver, settings: Settings, cpu_slots: int, cores: int) -> int:
    """Rounds of the scheduler until SIGTERM or a wish to stop."""
    gpus = Desk(database, driver, settings.gpus)
    nudges = _listen(database.home)
    stop = _stop_flag(nudges)
    threads = max(1, cores // max(1, cpu_slots))
    environment, dropped = passed_on(os.environ)
    slurm = Cluster(database, settings.slurm, dropped)
    here = Machine(cpu_slots, threads, dropped)
    scheduler = Scheduler(database, here, Nursery(environment), gpus, slurm)
    calendar = Calendar(database)
    chores = Chores(database, settings)
    machine.announce(database, cpu_slots, gpus.entries())
    slurm.announce()
    log.info("started: %d CPU slots, %d GPUs, home %s", cpu_slots, gpus.count, database.home)
    while True:
        wish = None
        pause = IDLE_SECONDS
        try:
            wish = machine.take_wish(database)
            scheduler.stopping_jobs |= wish == "stop-jobs"
            if not scheduler.stopping_jobs:
                pause = min(pause, calendar.round())
            active = 0 if stop or wish == "stop" else scheduler.tick()
            pause = min(pause, scheduler.seconds_to_next())
            chores.round()
        except DamagedError:
            raise  # every further write would make it worse
        except Exception:
            # One bad round (a full disk, say) must not take the queue down; the next one starts from the store.
            log.exception("this round failed")
            active = 1
        if stop or wish == "stop" or (scheduler.stopping_jobs and not active):
            break
        _wait_for_nudge(nudges, min(BUSY_SECONDS, pause) if active else pause)
    machine.take_leave(database)
    log.info("stopped")
    return 0


def take_lock(home: Path) -> bool:
    """Makes this the only daemon of its home, for as long as the process lives."""
    lock = os.open(paths.daemon_lock(home), os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(LOCK_TRY_SECONDS)  # somebody may only be looking whether a daemon runs
    return False


def _listen(home: Path) -> int:
    """The FIFO that wakes us. Open for writing as well, so that it never reports an end of file."""
    path = paths.nudge(home)
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK)


def _wait_for_nudge(nudges: int, seconds: float) -> None:
    ready, _, _ = select.select([nudges], [], [], seconds)
    if ready:
        with contextlib.suppress(BlockingIOError):  # select may say so of a pipe that turns out to be empty
            os.read(nudges, 65536)


def _stop_flag(nudges: int) -> list[bool]:
    """Empty until SIGTERM or SIGINT, which also end the wait for a nudge."""
    flag: list[bool] = []

    def request(_signal: int, _frame: FrameType | None) -> None:
        flag.append(True)
        os.write(nudges, b"!")

    signal.signal(signal.SIGTERM, request)
    signal.signal(signal.SIGINT, request)
    return flag


if __name__ == "__main__":
    sys.exit(main())
