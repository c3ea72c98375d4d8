"""Starts the processes that share one job, and makes of their endings the one ending that the supervisor sees.

    python -P -m engines.distributed.launcher RUN_DIR COUNT

What each process is told of the others is what `torchrun` and `accelerate launch` tell (RANK, WORLD_SIZE, ...), so that
trainers find what they look for. Those launchers are not used themselves: they start every process in a session of its
own, where no signal to the job's process group reaches it; they lose `-P`, exit codes, and the text of an error; and
they read a configuration in the user's home directory. Here all stay in one process group, nothing is read, and the
first process that dies ends the job.

It starts before every such job, so it imports no torch.
"""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.distributed.endings import FAILURE, STOPPED, Ending, failure_file, verdict
from engines.events import EventWriter

MEETING_SOCKET = "TUNEDECK_MEETING_SOCKET"
"""Environment: the file descriptor of the listening socket, which the first process inherits."""

LAST_WORDS_SECONDS = 3.0
"""How long the others may take to report their own errors once one process has failed: they may hang waiting for it."""

_HEARD = {signal.SIGCHLD, signal.SIGTERM}


def main(run_dir: Path, count: int) -> int:
    """The exit code of the job, if all its processes ended alike. One that a signal killed takes this one along."""
    for rank in range(count):
        failure_file(run_dir, rank).unlink(missing_ok=True)
    with _signals_waiting():
        endings = _watch(_start(run_dir, count))
    found = verdict(run_dir, endings)
    if found.failure:
        EventWriter(run_dir).emit("failed", **found.failure)
    if found.exit_code < 0:
        _die_of(-found.exit_code)
    return found.exit_code


def _start(run_dir: Path, count: int) -> dict[int, int]:
    """The rank of each process, by its pid."""
    # Only on this machine, and with a number that stays ours from now on.
    listener = socket.create_server(("127.0.0.1", 0), backlog=count)
    os.set_inheritable(listener.fileno(), True)
    ranks = {}
    for rank in range(count):
        environment = _environment(run_dir, rank, count, listener)
        argv = [sys.executable, "-P", "-m", "engines", str(run_dir)]
        close = [] if rank == 0 else [(os.POSIX_SPAWN_CLOSE, listener.fileno())]
        pid = os.posix_spawn(sys.executable, argv, environment, file_actions=close, setsigmask=[])
        ranks[pid] = rank
    listener.close()
    return ranks


def _environment(run_dir: Path, rank: int, count: int, listener: socket.socket) -> dict[str, str]:
    """What a process is told of the others."""
    host, port = listener.getsockname()
    # All speak over the loopback device, unless somebody wants another.
    defaults = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    told = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": host,
        "MASTER_PORT": str(port),
        MEETING_SOCKET: str(listener.fileno()),
        FAILURE: str(failure_file(run_dir, rank)),
    }
    if "OMP_NUM_THREADS" in os.environ:  # the job's threads are shared out among its processes
        told["OMP_NUM_THREADS"] = str(max(1, int(os.environ["OMP_NUM_THREADS"]) // count))
    return {**defaults, **os.environ, **told}


def _watch(ranks: dict[int, int]) -> list[Ending]:
    """How all have ended, those that ended badly by themselves first. What one does not survive, none does."""
    living, endings = dict(ranks), []
    deadline: float | None = None
    ended_by_us = False
    while living:
        wait_seconds = 3600.0 if deadline is None else max(0.0, deadline - time.monotonic())
        caught = signal.sigtimedwait(_HEARD, wait_seconds)
        if caught is not None and caught.si_signo == signal.SIGTERM:
            _tell(living, signal.SIGTERM)
        for pid, code in _reaped(living):
            endings.append(Ending(living.pop(pid), code, ended_by_us))
            if code < 0:
                deadline = time.monotonic()
            elif code not in (0, STOPPED) and deadline is None:
                deadline = time.monotonic() + LAST_WORDS_SECONDS
        if living and deadline is not None and time.monotonic() >= deadline:
            _tell(living, signal.SIGKILL)
            ended_by_us, deadline = True, None
    return endings


def _reaped(living: dict[int, int]) -> Iterator[tuple[int, int]]:
    """The processes that have ended since the last look, with exit codes, negative for a signal."""
    for pid in list(living):
        reaped, status = os.waitpid(pid, os.WNOHANG)
        if reaped:
            yield pid, os.waitstatus_to_exitcode(status)


def _tell(living: dict[int, int], number: int) -> None:
    for pid in living:
        os.kill(pid, number)  # not yet reaped, so the number is still theirs


@contextmanager
def _signals_waiting() -> Iterator[None]:
    """Signals wait until they are asked for, and none is missed between two looks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_of(number: int) -> None:
    """The supervisor sees the death that it would have seen of a single process."""
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute(), int(sys.argv[2])))
