"""What a job leaves behind when its supervisor is killed: the worker, and whatever it had started.

The worker has an identity on record, its children have not, and a number alone may be somebody else's by now: theirs are
the processes in the supervisor's session whose environment names the job's run directory, or that write to its log.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon.identity import boot_id


def end_remnants(supervisor: dict[str, Any], run_dir: Path) -> bool:
    """Kills what lives of a job without a supervisor. True when there was something: it may take a moment to die."""
    if supervisor["boot_id"] != boot_id():
        return False
    found = False
    for pid in _session(supervisor["pid"]):
        with contextlib.suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                # Looked at through the handle's lifetime, so that the number cannot pass to another meanwhile.
                if _belongs(pid, run_dir):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    found = True
            finally:
                os.close(handle)
    return found


def _session(leader: int) -> Iterator[int]:
    """The living processes of a session."""
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, _parent, _group, session, _ = _fields(directory)
            if int(session) == leader and state not in "ZX":
                yield int(directory.name)


def _fields(directory: Path) -> list[str]:
    """State, parent, process group, session, and the rest."""
    return (directory / "stat").read_text().rpartition(")")[2].split(maxsplit=4)


def _belongs(pid: int, run_dir: Path) -> bool:
    """By its environment, or by its output where a program has written its title over that, as vLLM's do."""
    directory = Path(f"/proc/{pid}")
    if f"TUNEDECK_RUN_DIR={run_dir}".encode() in (directory / "environ").read_bytes().split(b"\0"):
        return True
    log = str(run_dir / "worker.log")
    return any(str((directory / "fd" / number).readlink()).startswith(log) for number in "12")
