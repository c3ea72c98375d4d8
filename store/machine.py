"""What the daemon says about itself and the machine, and the nudge that wakes it."""

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from store import paths
from store.database import Database
from store.locks import is_held
from store.schema import daemon, gpu_reservations


@dataclass(frozen=True)
class Daemon:
    """The daemon that runs, or ran last.

    `gpus` lists {uuid, name, memory_bytes} of the machine, with `blocked` (words) where one is not given out.
    """

    pid: int
    started_at: float
    seen_at: float
    stopped_at: float | None
    cpu_slots: int
    gpus: list[dict[str, Any]]


def get_daemon(database: Database) -> Daemon | None:
    columns = daemon.c
    query = select(
        columns.pid, columns.started_at, columns.seen_at, columns.stopped_at, columns.cpu_slots, columns.gpus
    )
    with database.read() as connection:
        row = connection.execute(query).first()
    return Daemon(*row) if row else None


def announce(database: Database, cpu_slots: int, gpus: list[dict[str, Any]]) -> None:
    """The daemon starts."""
    now = time.time()
    values = {
        "pid": os.getpid(),
        "started_at": now,
        "seen_at": now,
        "stopped_at": None,
        "wish": None,
        "cpu_slots": cpu_slots,
        "gpus": gpus,
        "slurm": None,
    }
    with database.write() as connection:
        connection.execute(
            insert(daemon).values(id=1, **values).on_conflict_do_update(index_elements=["id"], set_=values)
        )


def take_leave(database: Database) -> None:
    """The daemon stops in good order."""
    with database.write() as connection:
        connection.execute(daemon.update().values(stopped_at=time.time()))


def request_stop(database: Database, *, stop_jobs: bool = False) -> None:
    """Asks the daemon to stop: at once, or after it has stopped the jobs at a checkpoint."""
    with database.write() as connection:
        connection.execute(daemon.update().values(wish="stop-jobs" if stop_jobs else "stop"))


_WISH = select(daemon.c.wish)


def take_wish(database: Database) -> str | None:
    """What the daemon was asked for, once."""
    with database.read() as connection:
        wish = connection.execute(_WISH).scalar()
    if wish:
        with database.write() as connection:
            connection.execute(daemon.update().values(wish=None))
    return str(wish) if wish else None


@dataclass(frozen=True)
class Reservation:
    """What a job has of a GPU: so many bytes of its memory, or all of it (None)."""

    job_id: int
    memory_bytes: int | None


def reservations(database: Database) -> dict[str, list[Reservation]]:
    """Who holds each reserved GPU, by UUID."""
    held: dict[str, list[Reservation]] = {}
    query = select(gpu_reservations).order_by(gpu_reservations.c.job_id)
    with database.read() as connection:
        for row in connection.execute(query):
            held.setdefault(row.uuid, []).append(Reservation(row.job_id, row.memory_bytes))
    return held


def update_gpus(database: Database, gpus: list[dict[str, Any]]) -> None:
    """What the daemon found out about the GPUs since it started: who else uses them."""
    with database.write() as connection:
        connection.execute(daemon.update().values(gpus=gpus))


def daemon_is_running(home: Path) -> bool:
    """Whether a daemon holds this home's lock: the kernel's word, not a file's."""
    return is_held(paths.daemon_lock(home), fcntl.LOCK_SH)


def nudge(home: Path) -> bool:
    """Wakes the daemon now instead of at its next round. False when none listens; nothing depends on it."""
    try:
        fifo = os.open(paths.nudge(home), os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(fifo, b"!")
    except BlockingIOError:
        pass  # the pipe is full of nudges already
    finally:
        os.close(fifo)
    return True
