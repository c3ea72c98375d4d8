"""The other processes of a job on several GPUs: started by its first one, and ended with it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_PATIENCE = 20.0
"""Seconds in which the others may end by themselves, once the first has."""


def processes_for(wanted: int | None) -> int:
    """As many as the recipe says; else one for each GPU that the job was given."""
    return wanted or max(1, torch.cuda.device_count())


@contextmanager
def others_started(run_dir: Path, count: int) -> Iterator[None]:
    """Processes 1 to `count` - 1 of this job; nothing where there is one alone, or a launcher has started all.

    Each is a worker of the same run directory. A request to stop reaches the first, and all agree on it between steps.
    """
    if count == 1 or "RANK" in os.environ:
        yield
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    before = dict(os.environ)
    started = [
        subprocess.Popen(
            [sys.executable, "-P", "-m", "engines", str(run_dir)],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(1, count)
    ]
    os.environ |= {**shared, "RANK": "0", "LOCAL_RANK": "0"}
    try:
        yield
        for process in started:
            process.wait(_PATIENCE)
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
            process.wait()
        for name in (*shared, "RANK", "LOCAL_RANK"):
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)
