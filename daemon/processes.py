"""Who a process is: boot, pid and start time together. A bare pid may be somebody else's by now."""

import os
import signal
from pathlib import Path
from typing import TypedDict


class Identity(TypedDict):
    """Names one process for as long as the machine's clock of boots runs."""

    boot_id: str
    pid: int
    start_ticks: int
    """Clock ticks between boot and the start of the process."""
    group: int
    """Its process group."""


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> Identity:
    """The identity of a living process. ProcessLookupError when there is none."""
    return {"boot_id": boot_id(), "pid": pid, "start_ticks": _start_ticks(pid), "group": os.getpgid(pid)}


def is_alive(identity: Identity) -> bool:
    """Whether this very process still runs (a zombie does not)."""
    if identity["boot_id"] != boot_id():
        return False
    try:
        return _start_ticks(identity["pid"]) == identity["start_ticks"]
    except ProcessLookupError:
        return False


def send(identity: Identity, signal_number: signal.Signals) -> bool:
    """Signals this very process; False when it is gone. The pidfd keeps the pid from passing to another meanwhile."""
    try:
        handle = os.pidfd_open(identity["pid"])
    except ProcessLookupError:
        return False
    try:
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(handle, signal_number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def kill_group(leader: Identity) -> bool:
    """Kills a process group whose leader still lives; False when the leader is gone, as then the number may be reused."""
    if leader["group"] != leader["pid"] or not is_alive(leader):
        return False
    try:
        os.killpg(leader["group"], signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _start_ticks(pid: int) -> int:
    try:
        # The second field, the program's name, may hold spaces and parentheses: count from its end.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    if fields[0] in "ZX":
        raise ProcessLookupError(pid)
    return int(fields[19])
