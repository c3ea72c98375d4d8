"""Who works on what, among the processes of one job: a lock on a file for each piece of work.

The kernel holds these locks and lets go of them when a process ends, however it ends, so that the work of a killed worker
is free at once and no process number that was given out again can keep it.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Leases:
    """The leases of one process; all processes of a job name the same directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: dict[str, int] = {}
        directory.mkdir(parents=True, exist_ok=True)

    def take(self, name: str) -> bool:
        """Whether the piece of work is ours now: nobody else who is alive has it."""
        if name in self._held:
            return True
        file = os.open(self._directory / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        # For people who look; nothing reads it.
        os.ftruncate(file, 0)
        os.write(file, json.dumps({"pid": os.getpid(), "time": time.time()}).encode() + b"\n")
        self._held[name] = file
        return True

    def release(self, name: str) -> None:
        os.close(self._held.pop(name))

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Wait until nobody else is in this section."""
        file = os.open(self._directory / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)
