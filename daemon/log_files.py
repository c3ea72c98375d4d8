"""`logs:` in `config.yaml`: how large logs may grow.

logs:
  daemon: 10MiB      # then it becomes daemon.log.1, and so on
  keep: 3            # older ones of the daemon
  worker: 1GiB       # of each job, on the disk: beyond it, the middle goes

A worker writes to its log by itself, with nothing of ours in between, so its log cannot be rotated without losing lines
that are just being written. Instead a hole is punched into the middle of the file (fallocate(2)): its first and its newest
lines stay, every byte keeps its place, and whoever follows the log or remembers an offset notices nothing. That it was
done stands among the job's messages, and `tunedeck logs` says where. On file systems without holes the log is left as it
is, and the job's messages say that.
"""

import ctypes
import errno
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, field_validator

from engines.recipe.blocks import Block
from engines.recipe.sizes import Size, bytes_of
from store.database import Database
from store.jobs import Job
from store.samples import record_samples

HEAD_BYTES = 1 << 20
"""Of a worker's log that stay from its beginning."""
LEAST_BYTES = 4 << 20
_PAGE = 1 << 16
"""A multiple of every usual block: only whole blocks are given back."""
_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOSYS)

log = logging.getLogger(__name__)


class LogSettings(Block):
    """How large logs may grow."""

    daemon: Size = "10MiB"
    keep: int = Field(3, ge=1, le=100)
    worker: Size = "1GiB"

    @field_validator("worker")
    @classmethod
    def _leaves_something(cls, size: str) -> str:
        if bytes_of(size) < LEAST_BYTES:
            raise ValueError(f"a worker's log needs {LEAST_BYTES >> 20}MiB at least")
        return size


def rotate_own(path: Path, limit: int, keep: int) -> bool:
    """Begins a new log for this process where the old one is too long. False where it is not, or not ours.

    Ours is what stdout or stderr lead to. The file that they lead to is renamed and a new one put in their place, so
    that no line is lost; a kill in between leaves a daemon to be started, which opens a new one.
    """
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = [fd for fd in (1, 2) if os.path.samestat(os.fstat(fd), there)]
    if there.st_size <= limit or not mine:
        return False
    for number in range(keep, 0, -1):
        older = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number}"))
    new = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd in mine:
        os.dup2(new, fd)
    os.close(new)
    return True


def trim_workers(database: Database, active: Iterable[Job], limit: int) -> None:
    """Punches holes into the logs of running jobs that take more than `limit` bytes of the disk."""
    for job in active:
        path = database.run_dir(job.id) / "worker.log"
        try:
            dropped = punch(path, limit)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                log.warning("job %d (%s): its log cannot be trimmed: %s", job.id, job.name, error)
                continue
            text = f"worker.log is larger than {limit >> 20} MiB, and its file system cannot drop its middle"
        else:
            if not dropped:
                continue
            log.info("job %d (%s): %d bytes of its log were dropped", job.id, job.name, dropped)
            text = (
                f"worker.log is larger than {limit >> 20} MiB: its middle is dropped, its first {HEAD_BYTES >> 20} MiB"
                f" and its newest {limit // 2 >> 20} MiB stay (`logs.worker` in config.yaml)"
            )
        # Said once: a text that the job has already is not repeated.
        event = {"kind": "message", "time": time.time(), "level": "warning", "text": text}
        record_samples(database, [(job.id, job.attempt, [event])])


def punch(path: Path, limit: int) -> int:
    """Drops the middle of a file that takes more than `limit` bytes of the disk. Returns how many that freed.

    OSError (EOPNOTSUPP) where the file system has no holes.
    """
    try:
        before = path.stat()
    except FileNotFoundError:
        return 0
    if before.st_blocks * 512 <= limit:
        return 0
    end = (before.st_size - limit // 2) // _PAGE * _PAGE
    if end <= HEAD_BYTES:
        return 0
    file = os.open(path, os.O_RDWR)
    try:
        _fallocate(file, _PUNCH_HOLE | _KEEP_SIZE, HEAD_BYTES, end - HEAD_BYTES)
        return max(0, before.st_blocks - os.fstat(file).st_blocks) * 512
    finally:
        os.close(file)


def _fallocate(file: int, mode: int, offset: int, length: int) -> None:
    """fallocate(2), which Python has only without its modes."""
    libc = ctypes.CDLL(None, use_errno=True)
    call = getattr(libc, "fallocate64", None) or libc.fallocate
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if call(file, mode, offset, length):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
