"""One submission's process: started, shut in, read from, and ended with everything it started.

Where there are no namespaces, orphans come to the server, which has asked for them, and are killed by it; where there
are, they die with the first process of theirs. No detaching leads out of either.
"""

import os
import select
import signal
import socket
import time
from dataclasses import dataclass, field

from engines.sandbox.gate import Job, pass_through
from engines.sandbox.limits import Limits

_START = 30.0
"""Seconds until a process must be shut in; it takes milliseconds."""
_GRACE = 0.05
"""Seconds to leave in, after the last result."""


@dataclass
class Process:
    """A running one, seen from the server."""

    gate: int
    control: socket.socket
    result: int
    streams: dict[int, bytearray]
    """stdout and stderr by descriptor, as far as they are kept."""
    limits: Limits
    results: bytearray = field(default_factory=bytearray)
    overflowed: set[int] = field(default_factory=set)
    closed: set[int] = field(default_factory=set)
    status: int | None = None
    """As of waitpid(2), once it has ended."""
    trouble: str = ""
    """Why it could not be shut in; nothing of the submission has run then."""

    def text(self, number: int) -> str:
        """What was kept of stdout (0) or stderr (1)."""
        return list(self.streams.values())[number].decode("utf-8", "replace")


def start(job: Job, first: int) -> Process:
    """Fork a process for the inputs from number `first` on; it waits, shut in, for `let_go`."""
    control, theirs = socket.socketpair()
    pipes = [os.pipe() for _ in range(3)]
    gate = os.fork()
    if gate == 0:
        try:
            pass_through(job, first, theirs, [write for _, write in pipes])
        finally:
            os._exit(1)
    theirs.close()
    for read, write in pipes:
        os.close(write)
        os.set_blocking(read, False)
    (result, _), (stdout, _), (stderr, _) = pipes
    process = Process(gate, control, result, {stdout: bytearray(), stderr: bytearray()}, job.limits)
    control.settimeout(_START)
    try:
        said = control.recv(1000)
    except TimeoutError:
        said = b"Enot shut in within 30 s"
    if said != b"R":
        process.trouble = said[1:].decode(errors="replace") or "it died while it was shut in"
    return process


def let_go(process: Process) -> None:
    """From here on the submission's code runs."""
    process.control.send(b"G")


def pump(process: Process, deadline: float) -> None:
    """Wait until the process says or does something, or the deadline (monotonic seconds), and take it in.

    Raises EOFError, the process having been ended, when the server's own stdin has.
    """
    wanted = [fd for fd in (process.result, *process.streams) if fd not in process.closed]
    control = process.control.fileno()
    ready, _, _ = select.select([0, control, *wanted], [], [], max(0.0, deadline - time.monotonic()))
    if 0 in ready:  # Nobody is there any more to answer to.
        end(process)
        raise EOFError
    for descriptor in wanted:
        if descriptor in ready:
            _take(process, descriptor)
    if control in ready:
        said = process.control.recv(100)
        process.status = int(said[1:]) if said[:1] == b"S" else signal.SIGKILL
        for descriptor in wanted:
            while descriptor not in process.closed and descriptor not in process.overflowed:
                if not _take(process, descriptor):
                    break


def end(process: Process, *, is_leaving: bool = False) -> None:
    """Kill the process and everything it has started, and wait until all of it is gone."""
    if is_leaving or process.status is not None:  # Then nothing has to be searched for, as a rule.
        watched = os.pidfd_open(process.gate)
        select.select([watched], [], [], _GRACE)
        os.close(watched)
    kill_descendants()
    process.control.close()
    for descriptor in (process.result, *process.streams):
        os.close(descriptor)


def kill_descendants() -> None:
    """Stop every descendant of this process, then kill them: what is stopped cannot fork on."""
    while _has_children():
        stopped: set[int] = set()
        while new := _descendants() - stopped:
            _signal_all(new, signal.SIGSTOP)
            stopped |= new
        _signal_all(stopped, signal.SIGKILL)


def how_it_ended(status: int) -> tuple[str, str]:
    """The kind and the words for a wait status that came by itself."""
    if os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
        return ("ok", "") if code == 0 else ("exception", f"exit status {code}")
    number = os.WTERMSIG(status)
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    return ("timeout", "processor time used up") if number == signal.SIGXCPU else ("killed", f"by {name}")


def _take(process: Process, descriptor: int) -> bool:
    """Read what is there; whether anything was. Beyond its limit a stream is marked and dropped."""
    try:
        chunk = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return False
    if not chunk:
        process.closed.add(descriptor)
        return False
    is_result = descriptor == process.result
    kept = process.results if is_result else process.streams[descriptor]
    room = (process.limits.result + (1 << 12) if is_result else process.limits.output) - len(kept)
    kept += chunk[: max(0, room)]
    if len(chunk) > room:
        process.overflowed.add(descriptor)
    return True


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _descendants() -> set[int]:
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:  # It has ended.
                continue
    found: set[int] = set()
    level = {os.getpid()}
    while level := {pid for pid, parent in parents.items() if parent in level} - found:
        found |= level
    return found


def _signal_all(pids: set[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
