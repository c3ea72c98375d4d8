"""Looking for a process and signalling it, by identity and never by a bare pid."""

import os
import signal
from typing import TypedDict

from daemon.identity import boot_id, start_ticks


class Identity(TypedDict):
    """Names one process for as long as the machine's clock of boots runs."""

    boot_id: str
    pid: int
    start_ticks: int
    """Clock ticks between boot and the start of the process."""
    group: int
    """Its process group."""


def is_alive(identity: Identity) -> bool:
    """Whether this very process still runs (a zombie does not)."""
    if identity["boot_id"] != boot_id():
        return False
    try:
        return start_ticks(identity["pid"]) == identity["start_ticks"]
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
