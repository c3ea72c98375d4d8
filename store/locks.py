"""Whether a process lives that holds a lock: the kernel's word, which no file that was left behind can fake."""

import fcntl
import os
from pathlib import Path


def is_held(path: Path, how: int = fcntl.LOCK_EX) -> bool:
    """Whether somebody holds the lock on a file. `how` is the lock that is tried: a shared one does not disturb others who look."""
    try:
        lock = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
